package dcstest

import "matriarch/internal/dcs"

// txn is a transaction that is written as a sentence.
type txn struct{ dcs.Txn }

func put(key, value string) txn {
	return txn{dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}}
}

func remove(key string) txn {
	return txn{dcs.Txn{Then: []dcs.Op{{Key: key, Delete: true}}}}
}

func absent(key string) dcs.Condition { return dcs.Condition{Key: key, Absent: true} }

func (x txn) when(conditions ...dcs.Condition) txn {
	x.If = append(x.If[:len(x.If):len(x.If)], conditions...)
	return x
}

func (x txn) and(more txn) txn {
	x.Then = append(x.Then[:len(x.Then):len(x.Then)], more.Then...)
	return x
}

// leased puts all keys under the lease.
func (x txn) leased() txn {
	then := append([]dcs.Op(nil), x.Then...)
	for i := range then {
		then[i].Leased = true
	}
	x.Then = then
	return x
}
