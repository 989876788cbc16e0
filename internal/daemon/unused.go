package daemon

import (
	"matriarch/internal/cluster"
	"matriarch/internal/config"
)

// unusedLocal names what the node's file asks for and this version does not do.
// What is ignored is said: nobody should find out in the night.
func unusedLocal(c *config.Config) []string { return strangeLoggers(c.Log) }

// unusedDynamic does the same for the dynamic configuration.
func unusedDynamic(doc map[string]any) []string {
	settings, _, err := cluster.ReadSettings(doc)
	if err != nil {
		return nil // told where it is read
	}
	var out []string
	if settings.Synchronous != "" {
		out = append(out, "synchronous_mode is not managed yet: commits do not wait for a standby; "+
			"a sync key that is there already still limits who may be promoted")
	}
	if settings.StandbyCluster {
		out = append(out, "standby_cluster is not supported yet: this node will not be promoted")
	}
	for _, name := range []string{"synchronous_mode_strict", "synchronous_node_count", "maximum_lag_on_syncnode"} {
		if doc[name] != nil {
			out = append(out, name+" has no effect yet: it belongs to synchronous_mode")
		}
	}
	return out
}
