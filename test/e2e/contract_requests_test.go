package e2e

import (
	"slices"
	"strings"

	"matriarch/test/e2e/contract"
)

const contractUser, contractPassword = "rest", "Fin-pros-rest-e2e"

// healthPaths are the checks, and what must not be one.
var healthPaths = strings.Fields(`/ /primary /leader /master /read-write /standby-leader /standby_leader /replica /replica/ /xreplicax
	/read-only /sync /synchronous /async /asynchronous /quorum /read-only-sync /read-only-synchronous /read-only-quorum
	/health /health/x /unknown /Primary /primary%2f`)

// checkedParameters are the query parameters of the checks.
var checkedParameters = strings.Fields(`/replica?lag=10MB /replica?lag=0 /replica?lag=-1 /replica?lag=10mb /replica?lag= /replica?lag=0x400 /replica?lag=1.5kB
	/replica?lag=100000000&lag=-1 /read-only?lag=-1 /async?lag=-1 /primary?lag=-1 /health?lag=-1
	/replica?replication_state=streaming /replica?replication_state=
	/replica?tag_datacenter=east /replica?tag_datacenter=East /replica?tag_datacenter=west /replica?tag_clonefrom=true /replica?tag_clonefrom=True
	/replica?tag_rack=2 /replica?tag_rack=3 /replica?tag_absent=x /replica?tag_absent= /health?tag_datacenter=west /read-only?tag_datacenter=west
	/primary?tag_datacenter=west /leader?tag_datacenter=west /async?tag_datacenter=west /replica?other=1
	/readiness?lag=10MB /readiness?lag=-1 /readiness?lag=x /readiness?mode=write /readiness?mode=apply`)

func requests(method string, paths []string) (out []contract.Request) {
	for _, p := range paths {
		out = append(out, contract.Request{Method: method, Path: p})
	}
	return out
}

// reads are those that may be asked in any state.
func reads() []contract.Request {
	everything := slices.Concat(healthPaths, strings.Fields("/liveness /readiness /patroni /patroni/extra?x=1 /cluster /history /config /metrics /failsafe"))
	return slices.Concat(requests("GET", everything), requests("GET", checkedParameters), requests("OPTIONS", everything), requests("HEAD", everything))
}

// ofTheNode are those whose answer tells of the node and not of the cluster.
func ofTheNode() []contract.Request {
	return slices.DeleteFunc(reads(), func(r contract.Request) bool {
		return r.Method == "GET" && slices.Contains([]string{"/cluster", "/history", "/config"}, r.Path)
	})
}

func body(text string) *string { return &text }

// call is a request that changes something, with the right credentials.
func call(method, path, text string) contract.Request {
	return contract.Request{Method: method, Path: path, Body: &text, Auth: contract.Basic(contractUser, contractPassword)}
}

// bare is the same without a body and without its length.
func bare(method, path string) contract.Request {
	return contract.Request{Method: method, Path: path, Auth: contract.Basic(contractUser, contractPassword)}
}

// closed are the requests to everything that changes something, with none of the
// credentials that it asks for.
func closed() (out []contract.Request) {
	for _, what := range unsafe {
		method, path, _ := strings.Cut(what, " ")
		for _, auth := range []string{"", contract.Basic(contractUser, "wrong"), strings.Replace(contract.Basic(contractUser, contractPassword), "Basic", "basic", 1), "Basic", "Bearer x"} {
			out = append(out, contract.Request{Method: method, Path: path, Body: body("{}"), Auth: auth})
		}
	}
	return out
}

// unsafe is everything that changes something. (/mpp has no check in Patroni, on
// which there is no agreement.)
var unsafe = strings.Split("POST /reload,POST /restart,POST /reinitialize,POST /switchover,POST /failover,POST /failsafe,POST /sigterm,POST /citus,POST /mpp,"+
	"PATCH /config,PUT /config,DELETE /restart,DELETE /switchover", ",")

// refused are the requests that change nothing, and say why.
func refused() (out []contract.Request) {
	for _, what := range strings.Split("POST /,POST /foo,POST /patroni,POST /config,PUT /restart,PUT /,DELETE /failover,DELETE /config,PATCH /,PATCH /switchover,DELETE /,get /patroni", ",") {
		method, path, _ := strings.Cut(what, " ")
		out = append(out, call(method, path, "{}"))
	}
	for _, what := range []string{"PATCH /config", "PUT /config", "POST /switchover", "POST /failover", "POST /citus", "POST /restart"} {
		method, path, _ := strings.Cut(what, " ")
		if path != "/restart" {
			out = append(out, bare(method, path))
			for _, bad := range []string{"", "{}"} {
				out = append(out, call(method, path, bad))
			}
		}
		for _, bad := range []string{"{", "[]", "null", "\"x\"", "1", "{\"a\":\xff}"} {
			out = append(out, call(method, path, bad))
		}
	}
	for _, text := range []string{
		`{"schedule":"x"}`, `{"schedule":null}`, `{"schedule":"2030-01-01T00:00:00"}`, `{"schedule":"2020-01-01T00:00:00Z"}`,
		`{"role":"x"}`, `{"role":"master1"}`, `{"postgres_version":"15"}`, `{"postgres_version":"9.6"}`, `{"postgres_version":"x.y"}`,
		`{"timeout":"x"}`, `{"timeout":0}`, `{"timeout":"-1"}`, `{"foo":1}`, `{"foo":1,"timeout":0}`, `{"timeout":0,"foo":1}`,
		`{"role":"primary","postgres_version":"9.5.0"}`, `{"postgres_version":"9.5.0"}`, `{"restart_pending":true}`, `{"restart_pending":false}`,
	} {
		out = append(out, call("POST", "/restart", text))
	}
	for _, text := range []string{
		`{"candidate":"node2"}`, `{"leader":"node2"}`, `{"leader":"nobody"}`, `{"leader":"node1","candidate":"node1"}`, `{"leader":"node1","candidate":"nobody"}`,
		`{"leader":"node2","candidate":"node3"}`, `{"leader":"node1","member":"nobody"}`, `{"leader":"node1","scheduled_at":"x"}`, `{"leader":"node1","scheduled_at":1}`,
		`{"leader":"node1","scheduled_at":"2030-01-01T00:00:00"}`, `{"leader":"node1","scheduled_at":"2020-01-01T00:00:00Z"}`, `{"leader":1,"candidate":2}`, `{"foo":1}`,
		`{"leader":"nobody","candidate":null,"scheduled_at":null}`, `{"leader":"nobody","scheduled_at":false}`, `{"leader":"nobody","scheduled_at":0}`, `{"leader":"nobody","scheduled_at":[]}`,
	} {
		out = append(out, call("POST", "/switchover", text))
	}
	for _, text := range []string{
		`{"leader":"node1"}`, `{"candidate":"nobody"}`, `{"candidate":"node2","scheduled_at":"2030-01-01T00:00:00Z"}`, `{"leader":"node2","candidate":"node3"}`,
		`{"leader":"node1","candidate":"node1"}`, `{"candidate":""}`, `{"foo":1}`,
	} {
		out = append(out, call("POST", "/failover", text))
	}
	return append(out,
		call("POST", "/failsafe", `{"name":"node1","conn_url":"postgres://x:1/postgres","api_url":"http://x:1/patroni"}`), call("POST", "/failsafe", ""), call("POST", "/failsafe", "{}"),
		bare("DELETE", "/switchover"), bare("DELETE", "/restart"),
	)
}

// accepted are the requests that do something which can be taken back, in this order:
// the cluster is looked at before there is a restart to be taken back, for a member's key
// follows what is asked of the member in a moment of its own.
func accepted() []contract.Request {
	return []contract.Request{
		call("PATCH", "/config", `{"contract":{"a":1,"b":null}}`), call("PATCH", "/config", `{"contract":{"a":"1"}}`), call("PATCH", "/config", `{"contract":{"b":[1,{"c":null}]}}`),
		call("PATCH", "/config", `{"contract":{"a":null,"none":null}}`), call("PATCH", "/config", `{"contract":null}`), call("PATCH", "/config", `{"contract":null}`),
		call("POST", "/switchover", `{"leader":"node1","candidate":"node2","scheduled_at":"2030-01-01T02:00:00+02:00"}`),
		{Method: "GET", Path: "/cluster"},
		bare("DELETE", "/switchover"), bare("DELETE", "/switchover"),
		call("POST", "/restart", `{"schedule":"2030-01-01T02:00:00+02:00","role":"primary","timeout":"1min","postgres_version":"99.0","restart_pending":false}`),
		call("POST", "/restart", `{"schedule":"2030-01-01T02:00:00+02:00"}`),
		{Method: "GET", Path: "/patroni"},
		bare("DELETE", "/restart"), bare("DELETE", "/restart"),
		bare("POST", "/reload"), bare("POST", "/sigterm"), call("POST", "/citus", `{"type":"after_promote","group":1,"leader":"x","timeout":1,"cooldown":1}`),
	}
}
