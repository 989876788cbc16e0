package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DynamicFile is the file in the data directory that keeps the dynamic configuration
// for a start without the store's.
const DynamicFile = "patroni.dynamic.json"

// Kept reads the dynamic configuration that a data directory keeps; nil, without an
// error, if it keeps none.
func Kept(dataDir string) (map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, DynamicFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kept dynamic configuration: %w", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil || doc == nil {
		return nil, fmt.Errorf("read the kept dynamic configuration: not a JSON object (%v)", err)
	}
	return doc, nil
}
