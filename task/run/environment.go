package run

import (
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
	// withheld are the variables that docker commands do not get from a step. They could lead to programs and logins in
	// the files of a task.
	withheld = strings.Fields("BUILDKIT_* BUILDX_* DOCKER_* DYLD_* GIT_* HOME LD_* PATH PATHEXT SSH_* SSL_* USERPROFILE XDG_*")
)

// Inherited reports whether docker commands of a task get a variable, NAME=VALUE, from this process.
func Inherited(variable string) bool { return isNamed(variable, inherited) }

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
