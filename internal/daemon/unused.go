package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
)

// refuse ends the start where going on would break a promise that the
// configuration asks for.
func refuse(c *config.Config) error {
	var faults []error
	if c.Bootstrap.Custom != nil {
		faults = append(faults, fmt.Errorf("bootstrap.method is %s, and this version creates clusters by initdb alone: "+
			"create the cluster by hand and let the agent adopt it, or set the method to initdb", c.Bootstrap.Method))
	}
	return errors.Join(faults...)
}

// unusedLocal names what the node's file asks for and this version does not do.
// What is ignored is said: nobody should find out in the night.
func unusedLocal(c *config.Config) []string {
	var out []string
	note := func(asked bool, text string) {
		if asked {
			out = append(out, text)
		}
	}
	note(c.Postgresql.PrePromote != "", "postgresql.pre_promote is not run yet")
	note(c.Postgresql.BeforeStop != "", "postgresql.before_stop is not run yet")
	others := slices.ContainsFunc(c.Postgresql.CreateReplicaMethods, func(m string) bool { return m != "basebackup" })
	note(others, "postgresql.create_replica_methods: only basebackup is used yet")
	return append(out, strangeLoggers(c.Log)...)
}

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
	if len(settings.Permanent) > 0 {
		out = append(out, "permanent slots are left alone, but not created yet: "+strings.Join(settings.Permanent, ", "))
	}
	if settings.StandbyCluster {
		out = append(out, "standby_cluster is not supported yet: this node will not be promoted")
	}
	return out
}
