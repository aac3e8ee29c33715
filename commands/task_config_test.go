package commands

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config"
)

// userConfig is a config.json with logins of each kind.
const userConfig = `{"auths":{"a.example":{"auth":"YW5uOnB3"},"b.example":{"auth":"Ym9iOnB3"}},"credHelpers":{"c.example":"absent"},
"HttpHeaders":{"X-A":"1"},"cliPluginsExtraDirs":["relative"]}`

// The configuration of a run has the user's settings and docker contexts, and the logins of registries that are named.
func TestConfigOfRun(t *testing.T) {
	d := newTestDaemons(t, "same=tcp://one.example.com:2375")
	if err := os.WriteFile(filepath.Join(config.Dir(), "config.json"), []byte(userConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(config.Dir(), "contexts", "meta", "odd")
	if err := os.Symlink("nowhere", odd); err != nil {
		t.Fatal(err)
	}
	d, err := newDaemons(newTools(d.env, true), "r1", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(d.config.dir)
	d.logins.stored = nil // no login is looked up for a command that names no registry
	env := environmentOf(t, d, "same", "ps")
	for _, want := range []string{"DOCKER_CONFIG=" + d.config.dir, "BUILDX_CONFIG=" + filepath.Join(d.config.dir, "buildx")} {
		if !slices.Contains(env, want) {
			t.Errorf("got environment %q, want %s", env, want)
		}
	}
	own, err := config.Load(d.config.dir)
	if err != nil || !own.ContainsAuth() || len(own.AuthConfigs) != 1 || own.CredentialsStore != "" || own.CredentialHelpers != nil || own.HTTPHeaders["X-A"] != "1" {
		t.Errorf("got configuration %+v and error %v, want the headers and only an empty login", own, err)
	}
	here, err := os.Getwd()
	if want := []string{filepath.Join(here, "relative"), filepath.Join(config.Dir(), "cli-plugins")}; err != nil || !slices.Equal(own.CLIPluginsExtraDirs, want) {
		t.Errorf("got folders of plugins %q, want %q", own.CLIPluginsExtraDirs, want)
	}
	files := 0
	err = filepath.WalkDir(d.config.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("got mode %s of %s, want none for others", info.Mode(), path)
		}
		if strings.Contains(path, "contexts") && info.Mode().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || files != 1 {
		t.Errorf("got %d files of contexts and error %v, want 1", files, err)
	}
}

// Logins of the run come before those of the user, and those of the user that docker commands need are copied once.
func TestLoginsOfRun(t *testing.T) {
	d := newTestDaemons(t)
	if err := os.WriteFile(filepath.Join(config.Dir(), "config.json"), []byte(userConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	login := func(change func(auths map[string]string)) {
		t.Helper()
		own, err := config.Load(d.config.dir)
		if err != nil {
			t.Fatal(err)
		}
		auths := map[string]string{}
		for name, auth := range own.AuthConfigs {
			auths[name] = auth.Username
		}
		change(auths)
		for name := range own.AuthConfigs {
			if _, ok := auths[name]; !ok {
				delete(own.AuthConfigs, name)
			}
		}
		for name, user := range auths {
			auth := own.AuthConfigs[name]
			if auth.Username != user {
				auth.Username, auth.Password = user, "pw"
				own.AuthConfigs[name] = auth
			}
		}
		if err := own.Save(); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(registries ...string) string {
		t.Helper()
		if _, err := d.Docker(t.Context(), "", registries, "pull"); err != nil {
			t.Fatal(err)
		}
		var all []string
		login(func(auths map[string]string) {
			for name, user := range auths {
				all = append(all, strings.TrimSuffix(name+" "+user, noRegistry+" "))
			}
		})
		slices.Sort(all)
		return strings.TrimSpace(strings.Join(all, "; "))
	}
	if got := pull("c.example"); got != "" {
		t.Errorf("got logins %q with a helper that fails, want none", got)
	}
	login(func(auths map[string]string) { auths["b.example"] = "run" })
	if got := pull("a.example", "b.example"); got != "; a.example ann; b.example run" {
		t.Errorf("got logins %q, want that of a.example and that of the run", got)
	}
	merged := d.config.current()
	if got := merged.AuthConfigs["a.example"].Username + merged.AuthConfigs["b.example"].Username + merged.CredentialHelpers["c.example"]; got != "annrunabsent" {
		t.Errorf("got logins %s, want the user's and that of the run", got)
	}
	if helper, ok := merged.CredentialHelpers["b.example"]; helper != "" || !ok {
		t.Errorf("got helper %q for the login of the run, want config.json", helper)
	}
	login(func(auths map[string]string) { delete(auths, "a.example") })
	if got := pull("a.example"); got != "; b.example run" {
		t.Errorf("got logins %q after a logout, want only that of the run", got)
	}
}

// Builds find a builder of the user; other commands of buildx do not.
func TestBuildersOfUser(t *testing.T) {
	d := newTestDaemons(t)
	users, own := t.TempDir(), filepath.Join(d.config.dir, "buildx")
	t.Setenv("BUILDX_CONFIG", users)
	if err := os.MkdirAll(filepath.Join(users, "instances", "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"buildx build --builder=mine .": users, "build --builder mine .": users, "buildx --builder mine bake": users,
		"buildx rm --builder mine": own, "buildx build --builder=other .": own, "build --builder": own, "build .": own,
	} {
		if env := environmentOf(t, d, "", strings.Fields(args)...); !slices.Contains(env, "BUILDX_CONFIG="+want) || slices.Contains(env, "BUILDX_CONFIG="+users) != (want == users) {
			t.Errorf("docker %s: got environment %q, want BUILDX_CONFIG=%s", args, env, want)
		}
	}
}

// The logins of a run are not among the files that containers get.
func TestConfigOutsideOfFiles(t *testing.T) {
	d := newTestDaemons(t)
	files, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(files, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	others := t.TempDir()
	t.Chdir(files)
	for _, tt := range [][3]string{
		{files, config.Dir(), temp}, {temp, config.Dir(), temp}, {filepath.Join(temp, "context"), temp, temp}, {others, temp, temp},
		{files, config.Dir(), "temp"}, {others, temp, "temp"},
	} {
		t.Setenv("TMPDIR", tt[2])
		d, err := newDaemons(newTools(d.env, true), "r1", tt[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Dir(d.config.dir); got != tt[1] {
			t.Errorf("files in %s, TMPDIR=%s: got configuration in %s, want it in %s", tt[0], tt[2], got, tt[1])
		}
		if err := os.RemoveAll(d.config.dir); err != nil {
			t.Error(err)
		}
	}
}
