package lab

// Guard is the pid of the process that guards the node's server, 0 if there is none.
func (n *Node) Guard() int {
	for _, p := range Inside(n.Dir) {
		if len(p.Command) == 2 && p.Command[0] == "matriarch-guard" && p.Command[1] == n.Data+".guard" {
			return p.PID
		}
	}
	return 0
}
