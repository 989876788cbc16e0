package guard

import "strconv"

// Stopped reports that every process of a postmaster's server stands still, as the
// kernel tells it. It is for the agent, whose guard does not answer: one that has done
// its work must not be ended for being slow to say so.
func Stopped(postmaster int) bool {
	if dir, _, err := cgroupOf(strconv.Itoa(postmaster)); err == nil && contains(dir, "/"+Name+"-") {
		if group, err := openCgroup(dir); err == nil {
			defer group.close()
			if frozen, err := group.says("frozen 1"); err == nil && frozen {
				return true
			}
		}
	}
	var buffer statBuffer
	first, err := readProc(postmaster, &buffer)
	if err != nil || !first.still() {
		return false
	}
	procs, err := new(scanner).tree(postmaster)
	if err != nil {
		return false
	}
	for _, p := range procs {
		if !p.still() {
			return false
		}
	}
	return true
}
