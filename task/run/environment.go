package run

import (
	"path/filepath"
	"slices"
	"strings"
)

// Names of variables, or with * the starts of names.
var (
	// inherited are the variables that docker commands get from this process. Others may be secrets, which a task could
	// read with 'docker run --env NAME'.
	inherited = strings.Fields("ALL_PROXY APPDATA BUILDKIT_COLORS COLUMNS COMSPEC DBUS_SESSION_BUS_ADDRESS " +
		"DOCKER_API_VERSION DOCKER_CERT_PATH DOCKER_DEFAULT_PLATFORM DOCKER_TLS DOCKER_TLS_VERIFY GNUPGHOME HOME HTTPS_PROXY " +
		"HTTP_PROXY LANG LC_* LOCALAPPDATA LOGNAME NO_COLOR NO_PROXY PASSWORD_STORE_DIR PATH PATHEXT PROGRAMDATA PROGRAMFILES* " +
		"SSH_AUTH_SOCK SSL_CERT_* SYSTEMROOT TEMP TERM TMP TMPDIR TZ USER USERPROFILE WINDIR XDG_*")
	// paths are those of them that name a file or folder where programs look for settings, logins and certificates,
	// pathLists those that name several.
	paths     = strings.Fields("APPDATA GNUPGHOME HOME LOCALAPPDATA PASSWORD_STORE_DIR SSL_CERT_FILE TEMP TMP TMPDIR USERPROFILE XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME")
	pathLists = strings.Fields("SSL_CERT_DIR XDG_CONFIG_DIRS XDG_DATA_DIRS")
	// withheld are the variables that docker commands do not get from a step. They could lead to programs and logins in
	// the files of a task.
	withheld = strings.Fields("BUILDKIT_* BUILDX_* DOCKER_* DYLD_* GIT_* HOME LD_* PATH PATHEXT SSH_* SSL_* USERPROFILE XDG_*")
)

// Inherited reports whether docker commands of a task get a variable, NAME=VALUE, from this process.
func Inherited(variable string) bool { return isNamed(variable, inherited) }

// Absolute returns a variable with absolute paths if it names files or folders: docker commands have another working directory
// than this process.
func Absolute(variable string, absolute func(path string) string) string {
	name, value, _ := strings.Cut(variable, "=")
	all := []string{value}
	switch {
	case value == "":
		return variable
	case isNamed(variable, pathLists):
		all = filepath.SplitList(value)
	case !isNamed(variable, paths):
		return variable
	}
	for i, path := range all {
		if path != "" {
			all[i] = absolute(path)
		}
	}
	return name + "=" + strings.Join(all, string(filepath.ListSeparator))
}

// isWithheld reports whether docker commands do not get a variable of a step. DOCKER_BUILDKIT only selects the builder.
func isWithheld(variable string) bool {
	return isNamed(variable, withheld) && !strings.HasPrefix(variable, "DOCKER_BUILDKIT=")
}

// isNamed reports whether names include the name of a variable. Case is ignored, as Windows does; proxies are also written in
// lower case.
func isNamed(variable string, names []string) bool {
	name, _, _ := strings.Cut(strings.ToUpper(variable), "=")
	return slices.ContainsFunc(names, func(n string) bool {
		start, isStart := strings.CutSuffix(n, "*")
		return name == n || isStart && strings.HasPrefix(name, start)
	})
}
