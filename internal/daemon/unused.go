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
	if settings.StandbyCluster {
		out = append(out, "standby_cluster is not supported yet: this node will not be promoted")
	}
	return out
}
