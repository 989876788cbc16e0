package generate

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// stores are the sections of stores, in the order of the file.
var stores = []string{"consul", "etcd", "etcd3", "exhibitor", "kubernetes", "raft", "zookeeper"}

// order is that of the file's sections; those of one group stand together.
var order = [][]string{{"scope", "namespace", "name"}, {"log"}, {"restapi"}, {"ctl"}, {"citus"},
	{"consul"}, {"etcd"}, {"etcd3"}, {"exhibitor"}, {"kubernetes"}, {"raft"}, {"zookeeper"},
	{"bootstrap"}, {"postgresql"}, {"watchdog"}, {"tags"}}

const aboutBootstrap = `# How a new cluster begins. Once there is a cluster this section has no effect.
`

const aboutDCS = `  # The first dynamic configuration, which all members share. Later it is changed by
  # patronictl edit-config, or matriarch edit-config, not here.
`

// render writes the sections in their order, without a newline at the end.
func render(tree values) (string, error) {
	var groups []string
	for _, names := range order {
		var b strings.Builder
		for _, name := range names {
			if tree[name] == nil {
				continue
			}
			if name == "bootstrap" {
				if err := renderBootstrap(&b, tree); err != nil {
					return "", err
				}
				continue
			}
			if err := block(&b, "", values{name: tree[name]}); err != nil {
				return "", err
			}
		}
		if b.Len() > 0 {
			groups = append(groups, strings.TrimSuffix(b.String(), "\n"))
		}
	}
	return strings.Join(groups, "\n\n"), nil
}

// renderBootstrap begins with the timing, whose rule binds the three.
func renderBootstrap(b *strings.Builder, tree values) error {
	dcs := at(tree, "bootstrap", "dcs")
	b.WriteString(aboutBootstrap + "bootstrap:\n" + aboutDCS + "  dcs:\n")
	rest := values{}
	for name, v := range dcs {
		rest[name] = v
	}
	for _, name := range []string{"loop_wait", "retry_timeout", "ttl"} {
		fmt.Fprintf(b, "    %s: %v\n", name, dcs[name])
		delete(rest, name)
	}
	return block(b, "    ", rest)
}

// block writes a map as block YAML with sorted keys.
func block(b *strings.Builder, indent string, m values) error {
	var text strings.Builder
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(m); err != nil {
		return fmt.Errorf("write the configuration as YAML: %w", err)
	}
	for line := range strings.Lines(text.String()) {
		b.WriteString(indent + line)
	}
	return nil
}
