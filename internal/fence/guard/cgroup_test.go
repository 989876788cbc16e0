package guard

import "testing"

func TestTheUnifiedMountIsFound(t *testing.T) {
	cases := []struct{ name, mounts, root, point string }{
		{"alone", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw", "/", "/sys/fs/cgroup"},
		{"beside version 1", "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "/", "/sys/fs/cgroup/unified"},
		{"in a container", "40 30 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw", "/docker/ab", "/sys/fs/cgroup"},
		{"none", "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "", ""},
	}
	for _, c := range cases {
		if root, point := unifiedMount(c.mounts); root != c.root || point != c.point {
			t.Errorf("%s: got %q at %q", c.name, root, point)
		}
	}
}
