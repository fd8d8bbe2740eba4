package api_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"entente/envelope"
	"entente/internal/api"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// request is a call in a test.
type request struct {
	method, path, body string
	header             http.Header
}

func (q request) do(t *testing.T, base string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, q.header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func all(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// form encodes a statement with files: pairs of name and content.
func form(t *testing.T, draft string, files ...string) (string, http.Header) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part := func(disposition map[string]string, media, content string) {
		p, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {mime.FormatMediaType("form-data", disposition)}, "Content-Type": {media},
		})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(p, content)
	}
	part(map[string]string{"name": "draft"}, "application/json", draft)
	for i := 0; i < len(files); i += 2 {
		part(map[string]string{"name": "file", "filename": files[i]}, "text/plain", files[i+1])
	}
	w.Close()
	return b.String(), http.Header{"Content-Type": {w.FormDataContentType()}}
}

const draft = `{"link":"kestria","lane":"network","kind":"message","marking":{"tlp":"AMBER"},"face":{},"body":{"subject":"S","language":"en","text":"T"}}`

// calls is one good call of every operation, by its id.
func calls(t *testing.T) map[string]request {
	post := func(path, body string) request {
		return request{method: "POST", path: api.Prefix + path, body: body}
	}
	get := func(path string) request { return request{method: "GET", path: api.Prefix + path} }
	matching := func(method, path, body string) request {
		return request{method: method, path: api.Prefix + path, body: body, header: http.Header{"If-Match": {`"` + said.String() + `"`}}}
	}
	body, header := form(t, draft, "notes.txt", "some notes")
	send := post("/statements", body)
	send.header = header
	wordBody, wordHeader := form(t, strings.Replace(draft, `"lane":"network"`, `"lane":"assistance"`, 1))
	ask, reply := post("/requests", wordBody), post("/requests/ARV-PR-2026-0001/statements", wordBody)
	ask.header, reply.header = wordHeader, wordHeader
	callBody, callHeader := form(t, strings.Replace(draft, `"lane":"network"`, `"lane":"hotline"`, 1))
	call, escalate, onCall := post("/calls", callBody), post("/requests/ARV-PR-2026-0001/calls", callBody), post("/calls/"+said.String()+"/statements", callBody)
	call.header, escalate.header, onCall.header = callHeader, callHeader, callHeader
	one := "/statements/" + said.String()
	deskBody := `"body":{"names":{"en":"Hotline"},"hours":[],"always":true,"zone":"UTC","languages":["en"],"substitutes":[]}`
	offer, err := statement.DefaultAgreement().Encode()
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := flow.Invitation{V: 1, Identity: [][]byte{{1}}, Endpoint: "https://kestria.localhost:7443", Token: make([]byte, 32), Offer: offer, Expires: 1}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := envelope.Marshal(flow.PairAnswer{V: 1, Token: make([]byte, 32), Commit: said, Identity: [][]byte{{1}}, Nonce: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&envelope.Envelope{PayloadType: flow.PairAnswerType, Payload: payload,
		Signatures: []envelope.Signature{{KeyID: strings.Repeat("0", 32), Sig: []byte{1}}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]request{
		"calls": get("/calls?box=in"), "call": get("/calls/" + said.String()), "makeCall": call, "escalate": escalate, "sayOnCall": onCall,
		"cases": get("/cases?state=open"), "openCase": post("/cases", `{"title":"Hospital","reference":"B 17/26"}`), "case": get("/cases/CASE-2026-0001?limit=9"),
		"note": post("/cases/CASE-2026-0001/notes", `{"words":"A note."}`), "addTask": post("/cases/CASE-2026-0001/tasks", `{"words":"Ask.","due":"2031-03-01T12:00:00Z"}`),
		"finishTask": post("/cases/CASE-2026-0001/tasks/3/completions", `{}`), "attach": post("/cases/CASE-2026-0001/threads", `{"name":"ARV-PR-2026-0001"}`),
		"closeCase": post("/cases/CASE-2026-0001/closings", `{}`), "reopenCase": post("/cases/CASE-2026-0001/reopenings", `{}`),
		"eraseCase": post("/cases/CASE-2026-0001/erasures", `{}`), "tasks": get("/tasks"),
		"obligations": get("/obligations?of=us"), "obligationsOf": get("/requests/ARV-PR-2026-0001/obligations"), "holds": get("/holds"),
		"placeHold": post("/statements/"+said.String()+"/holds", `{"reason":"Order 4711"}`),
		"liftHold":  post("/statements/"+said.String()+"/holds/liftings", `{"reason":"Acquitted"}`),

		"requests": get("/requests?box=in"),
		"ask":      ask,
		"request":  get("/requests/ARV-PR-2026-0001"),
		"reply":    reply,
		"due":      get("/due?of=us"),
		"forms":    get("/forms"),
		"form":     get("/forms/preservation.request"),
		"self":     get("/self"),
		"openapi":  get("/openapi.json"),
		"invite":   post("/invitations", `{"alias":"kestria","valid":3600}`),
		"links":    get("/links"),
		"accept":   post("/links", `{"alias":"kestria","invitation":`+string(invitation)+`}`),
		"link":     get("/links/kestria"),

		"answerInvitation": post("/pairings/answers", `{"alias":"kestria","invitation":`+string(invitation)+`}`),
		"continuePairing":  post("/pairings", `{"file":"`+base64.StdEncoding.EncodeToString(answer)+`"}`),

		"keys":            get("/keys"),
		"rotateKeys":      post("/keys/rotations", `{"validity":86400,"compromise_since":"2026-01-01T00:00:00Z"}`),
		"prepareRecovery": post("/keys/recoveries", `{}`),
		"finishRecovery":  post("/keys/recoveries/signatures", `{"documents":["AQ=="]}`),
		"cancelRecovery":  post("/keys/recoveries/cancellations", ""),

		"confirm":         post("/links/kestria/confirmations", `{"method":"telephone","person":"A","function":"B"}`),
		"agree":           post("/links/kestria/agreements", `{"edition":"2026-2"}`),
		"suspend":         post("/links/kestria/suspensions", `{"lanes":["network"],"reason":"review","words":"Until we have spoken."}`),
		"resume":          post("/links/kestria/resumptions", `{"lanes":["network"]}`),
		"withdraw":        post("/links/kestria/withdrawals", `{"reason":"withheld"}`),
		"packCourier":     post("/links/kestria/courier", ""),
		"unpackCourier":   {method: "POST", path: "/api/v1/courier", body: "file", header: http.Header{"Content-Type": {"application/vnd.entente.courier"}}},
		"leaves":          get("/links/kestria/ledgers/own?from=0&limit=1"),
		"verify":          get("/links/kestria/verification"),
		"witnesses":       get("/links/kestria/witnesses"),
		"cut":             get("/links/kestria/cut"),
		"report":          get("/links/kestria/report?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&sizes=" + arvenia.String() + ":3," + kestria.String() + ":4"),
		"fold":            get("/links/kestria/fold?sizes=" + arvenia.String() + ":3," + kestria.String() + ":4"),
		"desks":           get("/desks?link=kestria"),
		"proposeDesk":     post("/desks", `{"link":"kestria","proposal":{"role":"hotline","standing":"permanent",`+deskBody+`}}`),
		"updateDesk":      post("/desks/"+ourDesk.String()+"/updates", `{"role":"hotline","standing":"permanent",`+deskBody+`}`),
		"countersignDesk": post("/desks/"+desk.String()[:8]+"/countersignatures", ""),
		"withdrawDesk":    post("/desks/"+ourDesk.String()+"/withdrawals", `{"reason":"closed"}`),
		"statements":      get("/statements?box=in&limit=1"),
		"send":            send,
		"statement":       get(one),
		"erase":           post(one+"/erasures", `{"reason":"order","tell":true}`),
		"receipts":        get(one + "/receipts"),
		"file":            get(one + "/files/0"),
		"proof":           get(one + "/proof?body=true"),
		"figures":         get("/figures"),
		"audit":           get("/audit?before=9&limit=1"),
		"exportAudit":     get("/audit/export"),

		"drafts":           get("/drafts?state=waiting&limit=1"),
		"draft":            get("/drafts/01000000"),
		"editDraft":        matching("PATCH", "/drafts/01000000", `{"urgency":"emergency"}`),
		"discardDraft":     matching("DELETE", "/drafts/01000000", ""),
		"reviewDraft":      matching("POST", "/drafts/01000000/reviews", `{"good":false,"note":"No ground."}`),
		"submitDraft":      matching("POST", "/drafts/01000000/submissions", ""),
		"releaseDraft":     matching("POST", "/drafts/01000000/releases", `{"passphrase":"abcd-efgh"}`),
		"breakGlass":       matching("POST", "/drafts/01000000/emergencies", `{"passphrase":"abcd-efgh","note":"A life."}`),
		"countersignDraft": post("/drafts/01000000/countersignatures", `{"passphrase":"abcd-efgh"}`),
		"me":               get("/me"),
		"changePassphrase": post("/me/passphrase", `{"old":"abcd-efgh","new":"a longer passphrase"}`),
		"members":          get("/members?after=a&limit=1"),
		"addMember":        post("/members", `{"name":"anna","roles":["drafter"]}`),
		"setRoles":         post("/members/anna/roles", `{"roles":["drafter"]}`),
		"suspendMember":    post("/members/anna/suspensions", ""),
		"resumeMember":     post("/members/anna/resumptions", ""),
		"resetPassphrase":  post("/members/anna/passphrases", ""),
		"tokens":           get("/members/anna/tokens"),
		"addToken":         post("/members/anna/tokens", `{"scopes":["read"],"valid":3600,"note":"desk"}`),
		"revokeToken":      post("/tokens/0123456789ab/revocations", ""),
		"webhooks":         get("/webhooks"),
		"addWebhook":       post("/webhooks", `{"url":"https://cases.example/hook","events":["call.received"],"private":true,"ca":"cGVt","note":"cases"}`),
		"removeWebhook":    {method: "DELETE", path: "/api/v1/webhooks/0123456789ab"},
		"rotateWebhook":    post("/webhooks/0123456789ab/secrets", ""),
		"testWebhook":      post("/webhooks/0123456789ab/tests", ""),
		"resumeWebhook":    post("/webhooks/0123456789ab/resumptions", ""),
		"deliveries":       get("/webhooks/0123456789ab/deliveries?state=waiting&before=9&limit=1"),

		"evidence": get("/evidence?link=kestria"),
		"doctor":   get("/doctor"),
		"backup":   post("/backups", `{"to":"/srv/backup"}`),
	}
}

// described is what a test reads of the OpenAPI document.
type described struct {
	id     string
	method string
	path   string
	item   map[string]any
}

func describe(t *testing.T) (map[string]described, *jsonschema.Compiler) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.Describe()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]described{}
	for path, methods := range doc.(map[string]any)["paths"].(map[string]any) {
		for method, item := range methods.(map[string]any) {
			d := described{method: strings.ToUpper(method), path: path, item: item.(map[string]any)}
			d.id = d.item["operationId"].(string)
			if _, twice := out[d.id]; twice {
				t.Errorf("operation %s is described twice", d.id)
			}
			out[d.id] = d
		}
	}
	return out, compiler
}

// check validates an answer against the description, and returns its body.
func (d described) check(t *testing.T, compiler *jsonschema.Compiler, resp *http.Response) string {
	t.Helper()
	body := all(t, resp)
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	pointer := fmt.Sprintf("/paths/%s/%s/responses/%d", strings.NewReplacer("~", "~0", "/", "~1").Replace(d.path), strings.ToLower(d.method), resp.StatusCode)
	answer, described := d.item["responses"].(map[string]any)[fmt.Sprint(resp.StatusCode)].(map[string]any)
	if !described {
		t.Fatalf("status %d is not described; body %s", resp.StatusCode, body)
	}
	if ref, ok := answer["$ref"].(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
	}
	if media == "application/octet-stream" || media == "application/vnd.entente.courier" {
		return body
	}
	schema, err := compiler.Compile("openapi.json#" + strings.ReplaceAll(strings.ReplaceAll(pointer, "{", "%7B"), "}", "%7D") + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema")
	if err != nil {
		t.Fatalf("%s is not described: %v", media, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("the answer is not as described: %v\n%s", err, body)
	}
	return body
}

func TestEveryRouteIsDescribedAndAnswersSo(t *testing.T) {
	operations, compiler := describe(t)
	good := calls(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(operations)), slices.Sorted(maps.Keys(good))); diff != "" {
		t.Errorf("the description and the calls of this test differ:\n%s", diff)
	}
	base, _ := serve(t, newFake())
	for id, q := range good {
		t.Run(id, func(t *testing.T) {
			d := operations[id]
			if q.method != d.method {
				t.Errorf("described as %s, called as %s", d.method, q.method)
			}
			resp := q.do(t, base)
			if resp.StatusCode >= 300 {
				t.Errorf("status %d", resp.StatusCode)
			}
			d.check(t, compiler, resp)
		})
	}
}

func TestErrorTable(t *testing.T) {
	operations, compiler := describe(t)
	for _, c := range []struct {
		kind   fault.Kind
		status int
	}{
		{fault.Invalid, 400}, {fault.NotFound, 404}, {fault.Conflict, 409}, {fault.Forbidden, 403}, {fault.TooLarge, 413},
		{fault.Exhausted, 429}, {fault.Unavailable, 503}, {fault.Internal, 500},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			f := newFake()
			f.fail = fmt.Errorf("acting: %w", fault.Wrap(c.kind, "some_code", "Do something else.", errors.New("secret cause")))
			base, logged := serve(t, f)
			resp := calls(t)["send"].do(t, base)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			if media := resp.Header.Get("Content-Type"); media != "application/problem+json" {
				t.Errorf("media type %s", media)
			}
			body := operations["send"].check(t, compiler, resp)
			var p api.Problem
			if err := envelope.Unmarshal([]byte(body), &p); err != nil {
				t.Fatal(err)
			}
			back := p.Fault()
			if back.Kind != c.kind || back.Code != "some_code" || back.Public != "Do something else." {
				t.Errorf("the client reads %+v", back)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the answer shows the cause: %s", body)
			}
			if ours := c.status >= 500; strings.Contains(logged.String(), "secret cause") != ours {
				t.Errorf("log: %s", logged)
			}
		})
	}
}

func TestAnErrorThatIsNoFaultStaysInside(t *testing.T) {
	f := newFake()
	f.fail = errors.New("password is hunter2")
	base, logged := serve(t, f)
	resp := calls(t)["links"].do(t, base)
	body := all(t, resp)
	if resp.StatusCode != 500 || strings.Contains(body, "hunter2") || !strings.Contains(logged.String(), "hunter2") {
		t.Errorf("status %d, body %s, log %s", resp.StatusCode, body, logged)
	}
}

func TestRefusals(t *testing.T) {
	operations, compiler := describe(t)
	long := strings.Repeat("x", api.MaxJSON)
	many := make([]string, 2*(statement.MaxFiles+1))
	for i := range many {
		many[i] = "f"
	}
	multi := func(draft string, files ...string) request {
		body, header := form(t, draft, files...)
		return request{method: "POST", path: api.Prefix + "/statements", body: body, header: header}
	}
	broken := multi(draft, "a.txt", "aaa")
	broken.body = broken.body[:len(broken.body)-20]
	unnamed := multi(draft, "a.txt", "aaa")
	unnamed.body = strings.Replace(unnamed.body, "filename=a.txt", "filename=\"\"", 1)
	for _, c := range []struct {
		name, id string
		q        request
		status   int
		code     string
	}{
		{"an unknown member", "invite", request{method: "POST", path: "/api/v1/invitations", body: `{"alias":"k","valid":1,"x":1}`}, 400, "format"},
		{"a doubled member", "invite", request{method: "POST", path: "/api/v1/invitations", body: `{"alias":"k","alias":"k","valid":1}`}, 400, "format"},
		{"trailing data", "invite", request{method: "POST", path: "/api/v1/invitations", body: `{"alias":"k","valid":1}{}`}, 400, "format"},
		{"a long body", "invite", request{method: "POST", path: "/api/v1/invitations", body: `{"alias":"` + long + `","valid":1}`}, 413, "body"},
		{"another media type", "invite", request{method: "POST", path: "/api/v1/invitations", body: "x", header: http.Header{"Content-Type": {"text/plain"}}}, 415, "media_type"},
		{"an invitation for ever", "invite", request{method: "POST", path: "/api/v1/invitations", body: `{"alias":"k","valid":9223372036854775807}`}, 400, "valid"},
		{"an unknown parameter", "statements", request{method: "GET", path: "/api/v1/statements?limt=1"}, 400, "query"},
		{"a doubled parameter", "statements", request{method: "GET", path: "/api/v1/statements?limit=1&limit=2"}, 400, "query"},
		{"a malformed parameter", "statements", request{method: "GET", path: "/api/v1/statements?limit=many"}, 400, "parameter"},
		{"a page too long", "statements", request{method: "GET", path: "/api/v1/statements?limit=501"}, 400, "limit"},
		{"a box that is none", "statements", request{method: "GET", path: "/api/v1/statements?box=drafts"}, 400, "box"},
		{"a missing parameter", "fold", request{method: "GET", path: "/api/v1/links/kestria/fold"}, 400, "query"},
		{"a report without a period", "report", request{method: "GET", path: "/api/v1/links/kestria/report"}, 400, "query"},
		{"a report of a cut of one", "report", request{method: "GET", path: "/api/v1/links/kestria/report?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&sizes=" + arvenia.String() + ":1"}, 400, "sizes"},
		{"a cut of one", "fold", request{method: "GET", path: "/api/v1/links/kestria/fold?sizes=" + arvenia.String() + ":1"}, 400, "sizes"},
		{"a ledger of a stranger", "leaves", request{method: "GET", path: "/api/v1/links/kestria/ledgers/nobody"}, 404, "party"},
		{"a leaf before the first", "leaves", request{method: "GET", path: "/api/v1/links/kestria/ledgers/own?from=-1"}, 400, "from"},
		{"a file that is not here yet", "file", request{method: "GET", path: "/api/v1/statements/" + said.String() + "/files/1"}, 409, "file_state"},
		{"a file that is none", "file", request{method: "GET", path: "/api/v1/statements/" + said.String() + "/files/2"}, 404, "file"},
		{"a desk by too few digits", "withdrawDesk", request{method: "POST", path: "/api/v1/desks/ab/withdrawals", body: `{"reason":"closed"}`}, 400, "desk"},
		{"a desk of the peer", "withdrawDesk", request{method: "POST", path: "/api/v1/desks/" + desk.String() + "/withdrawals", body: `{"reason":"closed"}`}, 403, "desk_owner"},
		{"our own countersignature", "countersignDesk", request{method: "POST", path: "/api/v1/desks/" + ourDesk.String() + "/countersignatures"}, 403, "desk_owner"},
		{"a stranger", "links", request{method: "GET", path: "/api/v1/links", header: http.Header{"X-Stranger": {"1"}}}, 403, "stranger"},
		{"a courier file as JSON", "unpackCourier", request{method: "POST", path: "/api/v1/courier", body: draft}, 415, "media_type"},
		{"a courier file for no link", "packCourier", request{method: "POST", path: "/api/v1/links/nobody/courier"}, 404, "link"},
		{"a statement as JSON", "send", request{method: "POST", path: "/api/v1/statements", body: draft}, 415, "media_type"},
		{"a draft with an unknown member", "send", multi(`{"lnk":"kestria"}`), 400, "format"},
		{"a draft that is too long", "send", multi(`"` + strings.Repeat("x", api.MaxDraft) + `"`), 413, "draft"},
		{"too many files", "send", multi(draft, many...), 413, "parts"},
		{"a file that breaks off", "send", broken, 400, "body"},
		{"a file with a line break in its name", "send", multi(draft, "a\nb.txt", "content"), 400, "file_name"},
		{"a file that is a path", "send", multi(draft, `c:\b.txt`, "content"), 400, "file_name"},
		{"a file without a name", "send", unnamed, 400, "parts"},
		{"a draft for no link", "send", multi(strings.Replace(draft, "kestria", "nobody", 1)), 404, "link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			base, _ := serve(t, f)
			resp := c.q.do(t, base)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			body := operations[c.id].check(t, compiler, resp)
			if !strings.Contains(body, `"code":"`+c.code+`"`) {
				t.Errorf("want code %s in %s", c.code, body)
			}
			if f.draft.Kind != "" || f.alias != "" || f.spooled != 0 {
				t.Errorf("something was done or left: draft %q, alias %q, %d spooled", f.draft.Kind, f.alias, f.spooled)
			}
		})
	}
}

func TestUnknownPathAndMethod(t *testing.T) {
	base, _ := serve(t, newFake())
	resp := request{method: "GET", path: "/api/v2/links"}.do(t, base)
	if body := all(t, resp); resp.StatusCode != 404 || !strings.Contains(body, `"code":"path"`) {
		t.Errorf("status %d, body %s", resp.StatusCode, body)
	}
	resp = request{method: "DELETE", path: "/api/v1/links"}.do(t, base)
	if body := all(t, resp); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, POST" || !strings.Contains(body, `"code":"method"`) {
		t.Errorf("status %d, Allow %q, body %s", resp.StatusCode, resp.Header.Get("Allow"), body)
	}
}

func TestSend(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	body, header := form(t, strings.Replace(draft, `"lane"`, `"reply_by":"2031-03-02T12:00:00Z","lane"`, 1), "报告.txt", "first", "b.txt", "")
	resp := request{method: "POST", path: "/api/v1/statements", body: body, header: header}.do(t, base)
	if got := all(t, resp); resp.StatusCode != 201 || got != `{"statement":"`+said.String()+"\"}\n" {
		t.Fatalf("status %d, body %s", resp.StatusCode, got)
	}
	d := f.draft
	if d.Link != link || d.Lane != statement.Network || d.Kind != "message" || d.Zone != "UTC" || d.Marking.TLP != "AMBER" ||
		*d.ReplyBy != time.Date(2031, 3, 2, 12, 0, 0, 0, time.UTC).UnixMicro() {
		t.Errorf("draft %+v", d)
	}
	if diff := cmp.Diff([]string{"first", ""}, f.files); diff != "" {
		t.Error(diff)
	}
	if got := f.drafts[0]; got.Name != "报告.txt" || got.Media != "text/plain" || got.Size != -1 {
		t.Errorf("file %+v", got)
	}
}

// TestSendStreams shows that a file reaches the house while the client still sends it.
func TestSendStreams(t *testing.T) {
	f := newFake()
	f.arrived = make(chan struct{})
	base, _ := serve(t, f)
	body, header := form(t, draft, "big.bin", "FIRST LAST")
	before, after, _ := strings.Cut(body, " LAST")
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, before)
		<-f.arrived
		io.WriteString(w, " LAST"+after)
		w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/api/v1/statements", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 || !slices.Equal(f.files, []string{"FIRST LAST"}) {
		t.Errorf("status %d, files %q", resp.StatusCode, f.files)
	}
}

func TestLongCallsStreamProgress(t *testing.T) {
	for _, id := range []string{"verify", "backup"} {
		t.Run(id, func(t *testing.T) {
			f := newFake()
			base, _ := serve(t, f)
			q := calls(t)[id]
			if q.header == nil {
				q.header = http.Header{}
			}
			q.header.Set("Accept", "application/x-ndjson")
			resp := q.do(t, base)
			lines := strings.Split(strings.TrimSpace(all(t, resp)), "\n")
			if media := resp.Header.Get("Content-Type"); media != "application/x-ndjson" || len(lines) < 2 {
				t.Fatalf("%s: %q", media, lines)
			}
			for _, l := range lines[:len(lines)-1] {
				if !strings.HasPrefix(l, `{"progress":{`) {
					t.Errorf("line %s", l)
				}
			}
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"result":{`) {
				t.Errorf("last line %s", last)
			}
			f.fail = fault.New(fault.Unavailable, "disk_full", "Make room.")
			lines = strings.Split(strings.TrimSpace(all(t, q.do(t, base))), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"problem":{"type":"urn:entente:problem:unavailable"`) {
				t.Errorf("last line after a failure: %s", last)
			}
		})
	}
}

func TestFileIsAttachedAndNeverShown(t *testing.T) {
	base, _ := serve(t, newFake())
	resp := calls(t)["file"].do(t, base)
	if body := all(t, resp); body != "hello" {
		t.Errorf("body %q", body)
	}
	for header, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Length": "5",
		"Content-Security-Policy": "sandbox; default-src 'none'",
	} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	disposition, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	if err != nil || disposition != "attachment" || params["filename"] != "a\u202e\"b.txt" {
		t.Errorf("disposition %q %q %v", disposition, params, err)
	}
}

// TestAFileThatBreaksOffIsCut shows that a client cannot take a part of a file for the whole.
func TestAFileThatBreaksOffIsCut(t *testing.T) {
	f := newFake()
	f.cutShort = true
	base, logged := serve(t, f)
	resp, err := http.Get(base + calls(t)["file"].path)
	if err == nil {
		defer resp.Body.Close()
		var data []byte
		if data, err = io.ReadAll(resp.Body); err == nil {
			t.Errorf("the client read %q and saw no error", data)
		}
	}
	if !strings.Contains(logged.String(), "the disk is gone") {
		t.Errorf("the cause is not in the log: %s", logged)
	}
}

func TestStatementFilter(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	q := request{method: "GET", path: "/api/v1/statements?box=in&link=kestria&kind=message&limit=1&thread=" + said.String()}
	body := all(t, q.do(t, base))
	if !strings.Contains(body, `"next":"`) {
		t.Errorf("no cursor in %s", body)
	}
	g := f.filter
	if *g.Link != link || g.Kind != "message" || g.Limit != 1 || *g.NotAuthor != arvenia || g.Author != nil || *g.Thread != said {
		t.Errorf("filter %+v", g)
	}
}
