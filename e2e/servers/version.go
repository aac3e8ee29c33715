package servers

import (
	"debug/buildinfo"
	"regexp"
)

var versionPattern = regexp.MustCompile(`v?\d+\.\d+\.\d+[-+.~\w]*`)

// moduleVersion returns the version of a module in a Go program.
func moduleVersion(program, module string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}

// mainVersion returns the version of a Go program that was installed from its module.
func mainVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	return info.Main.Version
}

// programVersion returns the first version number that a Debian program prints.
func programVersion(tools Tools, program string, args ...string) string {
	cmd, err := tools.Debian(program, args...)
	if err != nil {
		return "unknown"
	}
	out, err := cmd.CombinedOutput()
	if version := versionPattern.Find(out); err == nil && version != nil {
		return string(version)
	}
	return "unknown"
}
