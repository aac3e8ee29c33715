package commands

import (
	"encoding/csv"
	"os"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// parseSecrets returns the values of --secret id=ID,src=FILE and id=ID,env=NAME by id.
func parseSecrets(typed []string) (map[string]string, error) {
	expected := badValue("--secret: expected id=ID,src=FILE or id=ID,env=NAME")
	secrets := map[string]string{}
	for _, s := range typed {
		fields, err := csv.NewReader(strings.NewReader(s)).Read()
		if err != nil || len(fields) != 2 {
			return nil, expected
		}
		id, ok := strings.CutPrefix(fields[0], "id=")
		key, from, _ := strings.Cut(fields[1], "=")
		if !ok || id == "" || from == "" {
			return nil, expected
		}
		switch key {
		case "env":
			value, set := os.LookupEnv(from)
			if !set {
				return nil, invalid("--secret %s: environment variable %s is not set", id, from)
			}
			secrets[id] = withoutNewline(value)
		case "src", "source":
			raw, err := readFile(hostFiles{}, from)
			if err != nil {
				return nil, invalid("--secret %s: %w", id, err)
			}
			secrets[id] = withoutNewline(string(raw))
		default:
			return nil, expected
		}
	}
	return secrets, nil
}

// setSecrets adds the values of --set-secret to the others, and to the secrets unless nothing is run.
func (o *taskRunOptions) setSecrets(env environment) error {
	for _, typed := range o.setGiven {
		name, value, given := strings.Cut(typed, "=")
		ok := true
		if !given {
			value, ok = os.LookupEnv(name)
		}
		switch {
		case name == "":
			return badValue("--set-secret: expected NAME=VALUE or NAME, found an empty NAME") // without the value
		case o.secrets == nil:
			value = render.Redacted
		case !ok:
			return invalid("--set-secret %s: environment variable %s is not set", name, name)
		case given:
			display.NewReporter(display.NewProgress(env.Err(), o.progress), false).Warn("the list of processes shows the value of --set-secret %s; "+
				"to pass it in the environment variable %s, use --set-secret %s", name, name, name)
		}
		if o.sets = append(o.sets, name+"="+value); o.secrets != nil {
			o.secrets["Values."+name] = value
		}
	}
	return nil
}

// withoutNewline removes the newline that editors and programs add to a secret.
func withoutNewline(secret string) string {
	return strings.TrimSuffix(strings.TrimSuffix(secret, "\n"), "\r")
}

// missingSecrets returns an error if secrets of the file are not given.
func missingSecrets(f task.File, given map[string]string) error {
	var missing, flags []string
	for _, id := range f.Secrets {
		if _, ok := given[id]; !ok {
			missing = append(missing, id)
			flags = append(flags, "--secret id="+id+",src=FILE")
		}
	}
	if missing == nil {
		return nil
	}
	return manifest.WithHint(invalid("no value for secret %s, and key vaults are not supported", strings.Join(missing, ", ")),
		"%s (or env=NAME in place of src=FILE)", strings.Join(flags, " "))
}
