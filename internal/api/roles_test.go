package api_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/node"
)

// routeActs names what each route asks of authorisation, by its operation's id; "" is for every member.
func routeActs() map[string]actor.Act {
	acts := map[string]actor.Act{}
	for act, ids := range map[actor.Act]string{
		"":                   "self openapi me forms form",
		actor.ReadLinks:      "links link desks witnesses cut fold figures",
		actor.ReadStatements: "statements statement receipts holds",
		actor.ReadFiles:      "file",
		actor.ReadRequests:   "requests request due obligations obligationsOf report",
		actor.ReadCalls:      "calls call",
		actor.ReadLedger:     "leaves verify",
		actor.Prove:          "proof",
		actor.Say:            "send reply editDraft discardDraft submitDraft",
		actor.Ask:            "ask",
		actor.Call:           "makeCall escalate sayOnCall",
		actor.ReadDrafts:     "drafts draft",
		actor.Review:         "reviewDraft",
		actor.Release:        "releaseDraft countersignDraft",
		actor.BreakGlass:     "breakGlass",
		actor.Desks:          "proposeDesk updateDesk countersignDesk withdrawDesk",
		actor.Erase:          "erase eraseCase",
		actor.Hold:           "placeHold liftHold",
		actor.Govern:         "invite accept answerInvitation continuePairing confirm agree suspend resume withdraw",
		actor.Courier:        "packCourier unpackCourier",
		actor.Keys:           "rotateKeys prepareRecovery finishRecovery cancelRecovery",
		actor.Backup:         "backup",
		actor.Examine:        "doctor",
		actor.ReadKeys:       "keys",
		actor.ReadEvidence:   "evidence",
		actor.ReadWebhooks:   "webhooks deliveries",
		actor.ManageWebhooks: "addWebhook removeWebhook rotateWebhook testWebhook resumeWebhook",
		actor.ReadCases:      "cases case tasks",
		actor.KeepCases:      "openCase note addTask finishTask attach closeCase reopenCase",
		actor.ReadAudit:      "audit exportAudit",
		actor.ReadMembers:    "members tokens",
		actor.ManageMembers:  "addMember setRoles suspendMember resumeMember resetPassphrase addToken revokeToken",
		actor.OwnAccount:     "changePassphrase",
	} {
		for id := range strings.FieldsSeq(ids) {
			acts[id] = act
		}
	}
	return acts
}

// running is a node with one link, party-1, that serves its socket, and a token of each role.
func running(t *testing.T) (*http.Client, map[actor.Role]string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "r") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "d")
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := node.Found(ctx, node.Founding{Data: data, Names: map[string]string{"en": "Arvenia"}, Authority: "Ministry", KeyFile: filepath.Join(dir, "key"),
		Recovery: filepath.Join(dir, "recovery"), Settings: map[string]string{}, Now: time.Now(), Validity: 365 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.GatherCrowd(ctx, data, 1, "", false, nil); err != nil {
		t.Fatal(err)
	}
	cfg, err := node.LoadConfig(data, nil, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(ctx, cfg, func() (string, error) { return "", errors.New("nobody is there to be asked") }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- errors.Join(n.Serve(ctx), n.Close()) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := node.Dial(data)
	t.Cleanup(client.Close)
	for client.Ready(ctx) != nil {
		select {
		case err := <-served:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	tokens := map[actor.Role]string{}
	for _, role := range actor.Roles() {
		name := strings.ReplaceAll(string(role), "_", "-")
		if _, err := client.AddMember(ctx, node.NewMember{Name: name, Roles: []actor.Role{role}}); err != nil {
			t.Fatal(err)
		}
		made, err := client.AddToken(ctx, name, node.NewToken{Scopes: actor.Scopes(), Valid: 3600})
		if err != nil {
			t.Fatal(err)
		}
		tokens[role] = made.Secret
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(data, node.SocketFile))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}}, tokens
}

// TestEveryRouteByEveryRole calls every route of a real node as every role. A route without a row fails.
func TestEveryRouteByEveryRole(t *testing.T) {
	routes, _ := describe(t)
	acts, samples := routeActs(), calls(t)
	if got, want := slices.Sorted(maps.Keys(acts)), slices.Sorted(maps.Keys(routes)); !slices.Equal(got, want) {
		t.Fatalf("the table has rows for %v, the router has %v", got, want)
	}
	client, tokens := running(t)
	at := strings.NewReplacer("kestria", "party-1", "/srv/backup", filepath.Join(t.TempDir(), "backup"))
	for _, id := range slices.Sorted(maps.Keys(acts)) {
		for _, role := range actor.Roles() {
			q := samples[id]
			q.path, _, _ = strings.Cut(at.Replace(q.path), "&sizes=")
			q.body = at.Replace(q.body)
			q.header = maps.Clone(q.header)
			if q.header == nil {
				q.header = http.Header{}
			}
			q.header.Set("Authorization", "Bearer "+tokens[role])
			answer := q.by(t, client)
			want := acts[id] == "" || slices.ContainsFunc(actor.Table(), func(r actor.Rule) bool { return r.Act == acts[id] && slices.Contains(r.Roles, role) })
			if let := answer.Code != "role"; let != want || answer.Status == http.StatusUnauthorized {
				t.Errorf("%s as %s: %d %s; the table (%s) says %v", id, role, answer.Status, answer.Code, acts[id], want)
			}
		}
	}
}

// by makes a call and gives the problem that is answered, if one is.
func (q request) by(t *testing.T, client *http.Client) api.Problem {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, "http://node"+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, q.header)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := all(t, resp)
	problem := api.Problem{Status: resp.StatusCode}
	if resp.Header.Get("Content-Type") == "application/problem+json" {
		if err := envelope.Unmarshal([]byte(strings.TrimSpace(body)), &problem); err != nil {
			t.Fatal(err)
		}
	}
	return problem
}
