package render

// Variables are the variables of templates.
type Variables struct {
	// Run are the fields of .Run, and ID that of .Build: ID, Registry, RegistryName, Date, Commit, Branch,
	// Repository, GitTag, TriggeredBy, SharedVolume, OS, OSVersion, Architecture and TaskName.
	Run map[string]string
	// Values are those of --values and --set.
	Values map[string]any
	// Secrets are the values of .Secrets by id; if nil, each is Redacted.
	Secrets map[string]string
}

// Redacted replaces secrets if a file is not run. It is valid base64.
const Redacted = "REDACTED"
