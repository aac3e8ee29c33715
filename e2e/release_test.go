package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sassoftware/go-rpmutils"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// A release for this platform installs by its script and by its packages.
func TestRelease(t *testing.T) {
	env, dist := harness.NewEnv(t), t.TempDir()
	env.UseGo(t)
	env.Dir = ".."
	binary := "docker-multiarch-" + runtime.GOOS + "-" + runtime.GOARCH
	harness.MustRun(t, env, "make", "release", "VERSION=v9.8.7", "DIST="+dist, "CROSS="+runtime.GOOS+"/"+runtime.GOARCH)
	env.Dir = dist
	harness.MustRun(t, env, "sha256sum", "--check", "--strict", "SHA256SUMS")
	var sbom struct {
		BOMFormat  string
		Components []struct{ Name string }
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(dist, binary+".cdx.json")), &sbom); err != nil || sbom.BOMFormat != "CycloneDX" || len(sbom.Components) < 20 {
		t.Errorf("got SBOM %s with %d components and error %v, want CycloneDX with all modules", sbom.BOMFormat, len(sbom.Components), err)
	}
	sum := strings.Fields(string(readFile(t, filepath.Join(dist, "action.sums"))))
	formula := string(readFile(t, filepath.Join(dist, "docker-multiarch.rb")))
	if len(sum) != 3 || sum[0] != "v9.8.7" || sum[2] != binary || !strings.Contains(formula, `version "9.8.7"`) || !strings.Contains(formula, sum[1]) {
		t.Errorf("got action.sums %q and formula\n%s\nwant the sum of %s in both", sum, formula, binary)
	}
	t.Run("install.sh", func(t *testing.T) { installsByScript(t, dist, binary) })
	t.Run("packages", func(t *testing.T) { installsByPackages(t, dist) })
	t.Run("image", func(t *testing.T) { installsByImage(t, dist, binary) })
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// newUser is an environment without the plugin.
func newUser(t *testing.T) *harness.Env {
	t.Helper()
	env := harness.NewEnv(t)
	if err := os.RemoveAll(env.Config); err != nil {
		t.Fatal(err)
	}
	return env
}

func installsByScript(t *testing.T, dist, binary string) {
	var altered atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if altered.Load() {
			_, _ = io.WriteString(w, "#!/bin/sh\ntouch ran\n")
			return
		}
		http.ServeFile(w, r, filepath.Join(dist, filepath.Base(r.URL.Path)))
	}))
	defer server.Close()
	env := newUser(t)
	env.Set("MULTIARCH_URL", server.URL)
	script := filepath.Join(dist, "install.sh")
	plugin := filepath.Join(env.Config, "cli-plugins", "docker-multiarch")

	altered.Store(true)
	harness.MustFail(t, env, 1, []string{"the checksum of " + server.URL + "/" + binary, "nothing was installed"}, "sh", script)
	if left, err := os.ReadDir(filepath.Dir(plugin)); err != nil || len(left) > 0 {
		t.Errorf("got files %v and error %v after a wrong checksum, want none", left, err)
	}
	altered.Store(false)
	says(t, harness.MustRun(t, env, "sh", script), "Installed "+plugin+" (v9.8.7)", "v9.8.7")
	says(t, harness.MustRun(t, env, "docker", "multiarch", "version"), "v9.8.7")
	harness.MustFail(t, env, 1, []string{"usage"}, "sh", script, "--help")
	harness.MustRun(t, env, "sh", script, "--uninstall")
	if _, err := os.Stat(plugin); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v after --uninstall, want no file", err)
	}
	env.Unset("DOCKER_CONFIG") // the plugin is in .docker of the home
	says(t, harness.MustRun(t, env, "sh", script), "Installed "+plugin)
}

func installsByPackages(t *testing.T, dist string) {
	packages := map[string]func(t *testing.T, file, dir string){
		"*.deb": func(t *testing.T, file, dir string) {
			harness.MustRun(t, harness.NewEnv(t), "dpkg-deb", "--extract", file, dir)
		},
		"*.rpm": unpackRPM,
		"*.apk": unpackAPK,
	}
	for pattern, unpack := range packages {
		t.Run(pattern[2:], func(t *testing.T) { installsByPackage(t, filepath.Join(dist, pattern), unpack) })
	}
}

func installsByPackage(t *testing.T, pattern string, unpack func(t *testing.T, file, dir string)) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("got packages %v and error %v, want one %s", files, err, pattern)
	}
	dir, env := t.TempDir(), newUser(t)
	unpack(t, files[0], dir)
	if err := os.MkdirAll(env.Config, 0o700); err != nil {
		t.Fatal(err)
	}
	// The docker command looks in /usr/libexec/docker/cli-plugins by itself.
	env.Configure(t, func(config map[string]any) {
		config["cliPluginsExtraDirs"] = []string{filepath.Join(dir, "usr/libexec/docker/cli-plugins")}
	})
	says(t, harness.MustRun(t, env, "docker", "multiarch", "version"), "v9.8.7")
	if pages, err := filepath.Glob(filepath.Join(dir, "usr/share/man/man1/docker-multiarch-create.1*")); err != nil || len(pages) != 1 {
		t.Errorf("%s: got man pages %v and error %v, want that of create", pattern, pages, err)
	}
}

// installsByImage takes the plugin out of the release's image with COPY --from.
func installsByImage(t *testing.T, dist, binary string) {
	onEachStore(t, func(s *scene) {
		s.multiarch("import", "oci-layout://"+filepath.Join(dist, "docker-multiarch-image.tar"), s.name("9.8.7"))
		s.holds("9.8.7", runtime.GOOS+"/"+runtime.GOARCH)
		s.docker("build", "-q", "-t", s.plain("with"), s.dockerfile("FROM scratch\nCOPY --from="+s.name("9.8.7")+" /docker-multiarch /plugin\n"))
		container := strings.TrimSpace(s.docker("create", s.plain("with"), "none"))
		defer s.docker("rm", container)
		copied := filepath.Join(s.Dir, "plugin")
		s.docker("cp", container+":/plugin", copied)
		if !bytes.Equal(readFile(s.T, copied), readFile(s.T, filepath.Join(dist, binary))) {
			s.Errorf("got another file from the image than %s", binary)
		}
	})
}

func unpackRPM(t *testing.T, file, dir string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rpm, err := rpmutils.ReadRpm(f)
	if err == nil {
		err = rpm.ExpandPayload(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := rpm.Header.GetFiles() // what is unpacked lacks their modes
	for _, file := range files {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, file.Name()), os.FileMode(file.Mode())&0o777))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unpackAPK unpacks a package that is several gzip streams of one tar archive.
func unpackAPK(t *testing.T, file, dir string) {
	unzipped, err := gzip.NewReader(bytes.NewReader(readFile(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(archive)
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = errors.Join(root.MkdirAll(filepath.Dir(h.Name), 0o755), root.WriteFile(h.Name, content, os.FileMode(h.Mode)&0o777))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
