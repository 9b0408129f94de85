package config

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EnvPrefix starts the name of every environment variable of the program.
const EnvPrefix = "ZHIJIAO_"

// EnvFile names the file with settings when no flag does.
const EnvFile = EnvPrefix + "CONFIG"

// testPrefix starts variables that belong to the tests, not to the program.
const testPrefix = EnvPrefix + "TEST_"

// Source is where settings come from.
type Source struct {
	File    string            // YAML; empty: none
	Environ []string          // KEY=value, as os.Environ gives it
	Flags   map[string]string // by key name, only what was given
}

// Load reads and checks everything and reports every fault it finds, not only the first.
func Load(src Source) (*Config, error) {
	keys := map[string]Key{}
	values := map[string]value{}
	for _, k := range Keys() {
		keys[k.Name] = k
		values[k.Name] = value{k.Default, "its default"}
	}
	errs := []error{readFile(src.File, keys, values), readEnv(src.Environ, keys, values)}
	for name, v := range src.Flags {
		if k, ok := keys[name]; ok {
			values[name] = value{v, "--" + k.Flag()}
		} else {
			errs = append(errs, fmt.Errorf("unknown key %s", name))
		}
	}
	c := &Config{}
	for _, k := range Keys() { // in the table's order, so that faults come in a stable order
		v := values[k.Name]
		if err := k.set(c, v.text); err != nil {
			errs = append(errs, fmt.Errorf("%s (from %s): %w", k.Name, v.from, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

type value struct{ text, from string }

func readFile(path string, keys map[string]Key, values map[string]value) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(root.Content) == 0 {
		return nil
	}
	return flatten(path, "", root.Content[0], keys, values, map[string]bool{})
}

// flatten walks nested mappings: {http: {listen: x}} and {http.listen: x} say the same, but only one of them may.
func flatten(path, prefix string, n *yaml.Node, keys map[string]Key, values map[string]value, seen map[string]bool) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: a mapping of keys is expected here", path, n.Line)
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := prefix+n.Content[i].Value, n.Content[i+1]
		at := fmt.Sprintf("%s:%d", path, n.Content[i].Line)
		_, known := keys[name]
		switch {
		case known && seen[name]:
			errs = append(errs, fmt.Errorf("%s: %s is given twice", at, name))
		case known && v.Kind == yaml.ScalarNode:
			seen[name] = true
			text := v.Value
			if v.Tag == "!!null" {
				text = ""
			}
			values[name] = value{text, at}
		case known:
			errs = append(errs, fmt.Errorf("%s: %s takes one value", at, name))
		case v.Kind == yaml.MappingNode && isGroup(name, keys):
			errs = append(errs, flatten(path, name+".", v, keys, values, seen))
		default:
			errs = append(errs, fmt.Errorf("%s: unknown key %s%s", at, name, similar(name, keys)))
		}
	}
	return errors.Join(errs...)
}

func isGroup(name string, keys map[string]Key) bool {
	for k := range keys {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

func readEnv(environ []string, keys map[string]Key, values map[string]value) error {
	byEnv := map[string]string{}
	for name, k := range keys {
		byEnv[k.Env()] = name
	}
	var errs []error
	for _, e := range environ {
		name, v, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, EnvPrefix) || name == EnvFile || strings.HasPrefix(name, testPrefix) {
			continue
		}
		key, ok := byEnv[name]
		if !ok {
			errs = append(errs, fmt.Errorf("environment: unknown variable %s", name))
			continue
		}
		values[key] = value{v, "environment variable " + name}
	}
	return errors.Join(errs...)
}

// similar suggests the key that was probably meant.
func similar(name string, keys map[string]Key) string {
	plain := func(s string) string {
		return strings.NewReplacer(".", "", "_", "", "-", "").Replace(strings.ToLower(s))
	}
	var found []string
	for k := range keys {
		if plain(k) == plain(name) || strings.HasSuffix(k, "."+name) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return ""
	}
	sort.Strings(found)
	return " (is it " + strings.Join(found, " or ") + "?)"
}
