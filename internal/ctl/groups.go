package ctl

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
)

// noGroup stands for a cluster without Citus, and for all groups of one with it.
const noGroup = -1

// groupOption is which group of a Citus cluster a command is about. Matriarch's
// agent runs no Citus cluster; Patroni's members may.
type groupOption struct {
	given      int
	configured bool // citus.group of the configuration counts where none is given
}

func groupFlag(f *pflag.FlagSet) *groupOption {
	g := &groupOption{given: noGroup}
	f.IntVar(&g.given, "group", noGroup, "Citus group")
	f.Lookup("group").DefValue = "" // not worth telling
	return g
}

func configuredGroupFlag(f *pflag.FlagSet) *groupOption {
	g := groupFlag(f)
	g.configured = true
	return g
}

// choose tells whether the cluster is Citus' and which group is meant.
func (g *groupOption) choose(c *config.Config) (citus bool, group int) {
	if g != nil && g.given >= 0 {
		return true, g.given
	}
	own, citus := configuredGroup(c)
	if citus && g != nil && g.configured {
		return true, own
	}
	return citus, noGroup
}

// configuredGroup reads the citus section, which counts only when it is complete.
func configuredGroup(c *config.Config) (int, bool) {
	section := c.Tree().Get("citus")
	n, ok := section.Get("group").Int()
	return int(n), ok && n >= 0 && section.Get("database").Is(config.KindString)
}

// splitGroups takes the tree of a Citus cluster apart: every group has a cluster's
// keys below its number.
func splitGroups(s dcs.Snapshot) map[int]cluster.View {
	values := map[int]map[string]dcs.Value{}
	for key, v := range s.Values {
		first, rest, found := strings.Cut(key, "/")
		n, err := strconv.Atoi(first)
		if !found || err != nil || n < 0 {
			continue
		}
		if values[n] == nil {
			values[n] = map[string]dcs.Value{}
		}
		values[n][rest] = v
	}
	out := map[int]cluster.View{}
	for n, v := range values {
		out[n] = dcs.Snapshot{Revision: s.Revision, Values: v}.View()
	}
	return out
}

// citusPicture is a Citus cluster with all its groups. Where one cluster is meant,
// it is the coordinator's, group 0.
func citusPicture(name string, s dcs.Snapshot) picture {
	groups := splitGroups(s)
	p := newPicture(name, groups[0])
	p.citus, p.group = true, noGroup
	for _, n := range slices.Sorted(maps.Keys(groups)) {
		part := newPicture(name, groups[n])
		part.citus, part.group = true, n
		p.parts = append(p.parts, part)
	}
	return p
}

// each are the clusters that the picture has: one, or the groups.
func (p picture) each() []picture {
	if p.citus && p.group == noGroup {
		return p.parts
	}
	return []picture{p}
}

// members are those of all groups.
func (p picture) members() []cluster.Member {
	var out []cluster.Member
	for _, part := range p.each() {
		out = append(out, part.view.Members...)
	}
	return out
}
