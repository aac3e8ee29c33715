//go:build !linux

package workspace

import "errors"

func (*Workspace) overlay() (map[string]string, error) {
	return nil, errors.ErrUnsupported
}
