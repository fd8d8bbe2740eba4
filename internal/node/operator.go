package node

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// operator is the acts that the node supplies to the API.
type operator struct{ *Node }

// Spool keeps an uploaded file.
func (o operator) Spool(r io.Reader) (api.Spooled, error) { return o.spool.take(r) }

// Accept plays the invitee.
func (o operator) Accept(ctx context.Context, who actor.Actor, alias string, inv *flow.Invitation) (statement.LinkID, error) {
	if err := who.May(actor.Govern); err != nil {
		return statement.LinkID{}, err
	}
	id, err := o.client.Pair(ctx, o.house, who, inv, alias, o.cfg.Endpoint)
	if err == nil {
		o.sender.Rescan()
	}
	return id, err
}

// LinkMade starts the deliveries of a new link.
func (o operator) LinkMade() { o.sender.Rescan() }

// Alarms of doctor.
const (
	undeliveredFor = 24 * time.Hour
	uncosignedFor  = time.Hour

	certificateWarning = 30 * 24 * time.Hour
)

// Doctor examines database, disk, identity and links.
func (o operator) Doctor(ctx context.Context, who actor.Actor) ([]api.Check, error) {
	if err := who.May(actor.Examine); err != nil {
		return nil, err
	}
	checks := []api.Check{
		check("database", o.probe(ctx), "it takes writes", "See the log; look at the disk and the database server."),
		o.checkDamage(ctx),
		check("disk", o.store.Blobs().Reserve(0), "there is room beyond the reserve", "Make room on the disk, or lower the setting disk_reserve."),
		o.checkIdentity(), o.checkOwnKeys(ctx, who), o.checkRecovery(),
	}
	links, err := o.house.Links(ctx, actor.System())
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		checks = append(checks, checkLink(l, o.now()))
	}
	if o.cfg.API != "" {
		checks = append(checks, o.checkAPI())
	}
	checks = append(checks, o.checkAudit(ctx), o.checkReleases(ctx))
	checks = append(checks, o.checkWitnesses()...)
	hooks, err := o.checkWebhooks(ctx, who)
	if err != nil {
		return nil, err
	}
	checks = append(checks, hooks...)
	evidence, err := o.house.Evidence(ctx, who, nil, 1)
	if err != nil {
		return nil, err
	}
	lies := api.Check{Name: "evidence", OK: true, Detail: "no lie was kept"}
	if len(evidence) > 0 {
		lies = api.Check{Name: "evidence", Detail: "a peer said two things that cannot both be true", Advice: "Ask for GET /api/v1/evidence, and talk to the other party."}
	}
	return append(checks, lies), nil
}

// Witnesses is what third parties are told of our ledger of a link, and what they cosigned.
func (o operator) Witnesses(ctx context.Context, who actor.Actor, link statement.LinkID) (api.Witnessing, error) {
	v, err := o.house.Witnesses(ctx, who, link)
	if err != nil {
		return api.Witnessing{}, err
	}
	out := api.Witnessing{Origin: v.Origin, Keys: v.Keys, Size: v.Size, Witnesses: []api.Witness{}}
	for _, s := range o.asker.Standings(&link) {
		out.Witnesses = append(out.Witnesses, api.Witness{ID: s.Witness.Key.ID(), URL: s.Witness.URL, Code: s.Code, Trouble: s.Trouble})
	}
	for _, held := range v.Held {
		i := slices.IndexFunc(out.Witnesses, func(w api.Witness) bool { return w.ID == held.Witness })
		if i < 0 {
			i = len(out.Witnesses)
			out.Witnesses = append(out.Witnesses, api.Witness{ID: held.Witness})
		}
		at := time.UnixMicro(held.At).UTC()
		out.Witnesses[i].Cosigned, out.Witnesses[i].CosignedAt = held.Size, &at
	}
	return out, nil
}

// checkWitnesses tells of each third party how it does.
func (o operator) checkWitnesses() (checks []api.Check) {
	for _, s := range o.asker.Standings(nil) {
		c := api.Check{Name: "witness " + s.Witness.Key.Name(), OK: s.Code == "", Detail: "it cosigns what it is asked for"}
		if !c.OK {
			c.Detail, c.Advice = s.Trouble, "Nothing waits for it. \"entente ledger witnesses LINK\" shows each ledger; a witness that nobody needs is taken out of the setting witnesses."
		}
		checks = append(checks, c)
	}
	return checks
}

// checkWebhooks tells of each receiver whether it takes what it is told.
func (o operator) checkWebhooks(ctx context.Context, who actor.Actor) (checks []api.Check, err error) {
	hooks, err := o.house.Webhooks(ctx, who)
	for _, k := range hooks {
		c := api.Check{Name: "webhook " + k.ID, OK: true, Detail: "it takes what it is told"}
		switch {
		case k.Disabled != 0:
			c.OK, c.Detail, c.Advice = false, "it is disabled ("+k.Why+") and told nothing", "Put the receiver right, and then: entente webhooks resume "+k.ID
		case k.Failing != 0:
			c.OK, c.Detail = false, "nothing came through since "+time.UnixMicro(k.Failing).UTC().Format(time.RFC3339)+" ("+k.Code+")"
			c.Advice = "Look at the receiver: entente webhooks deliveries " + k.ID
		}
		checks = append(checks, c)
	}
	return checks, err
}

// check is a check that holds if there is no error.
func check(name string, err error, well, advice string) api.Check {
	if err != nil {
		return api.Check{Name: name, Detail: fault.Public(err), Advice: advice}
	}
	return api.Check{Name: name, OK: true, Detail: well}
}

// checkDamage reads the database and every sealed file.
func (o operator) checkDamage(ctx context.Context) api.Check {
	const advice = "Stop the node, keep a copy of the data directory, and restore the newest backup."
	health, err := o.store.Check(ctx, nil)
	if err != nil {
		return check("damage", err, "", advice)
	}
	return api.Check{
		Name: "damage", OK: len(health.Damaged)+len(health.Missing) == 0,
		Detail: fmt.Sprintf("%d sealed files read, %d damaged, %d missing", health.Blobs, len(health.Damaged), len(health.Missing)), Advice: advice,
	}
}

// checkAudit reads the whole log of what members did, and compares it with its signed head.
func (o operator) checkAudit(ctx context.Context) api.Check {
	found, err := o.house.CheckAudit(ctx, actor.System())
	if fault.KindOf(err) == fault.NotFound {
		return api.Check{Name: "audit", OK: true, Detail: "nobody did anything here yet"}
	}
	return check("audit", err, fmt.Sprintf("%d lines of what members did stand as they were signed", found.Entries),
		"Keep the data directory as it is, and let the auditor compare it with an earlier export.")
}

// checkAPI tells by what clients know the certificate of the API, and looks whether it ends.
func (o operator) checkAPI() api.Check {
	cert, err := o.cfg.certificate(o.now())
	if err != nil {
		return check("api", err, "", "Look at the settings api_certificate and api_key.")
	}
	ends, err := x509.ParseCertificate(cert.Certificate[0])
	if err == nil && ends.NotAfter.Before(o.now().Add(certificateWarning)) {
		return api.Check{Name: "api", Detail: "its certificate ends on " + ends.NotAfter.Format(time.DateOnly), Advice: "Put another in its place, and restart the node."}
	}
	return check("api", err, "open over HTTPS at "+o.cfg.API+", fingerprint "+fingerprintOf(cert.Certificate[0]), "Look at the settings api_certificate and api_key.")
}

// checkReleases looks whether what left on one person's word was countersigned.
func (o operator) checkReleases(ctx context.Context) api.Check {
	alone, err := o.house.Uncountersigned(ctx)
	if err == nil && alone > 0 {
		return api.Check{Name: "release", Detail: fmt.Sprintf("%d statements left on one person's word and are not countersigned", alone),
			Advice: "Let a second person look at them: entente release list, entente release countersign."}
	}
	return check("release", err, "nothing that one person sent alone waits for a countersignature", "See the log; look at the disk and the database server.")
}

// checkIdentity looks how long the version in force is valid.
func (o operator) checkIdentity() api.Check {
	ends := time.UnixMicro(o.house.Self().Latest().NotAfter)
	warning := flow.ExpiryWarning(ends.Sub(o.now()))
	return api.Check{
		Name: "identity", OK: warning == "", Detail: strings.TrimPrefix(warning+"; it is valid until "+ends.UTC().Format(time.DateOnly), "; "),
		Advice: "Replace the keys with \"entente keys rotate\" before they end; afterwards only the recovery keys can (entente keys recover).",
	}
}

// checkOwnKeys looks whether somebody else signs as this party, and whether a recovery was begun and not finished.
func (o operator) checkOwnKeys(ctx context.Context, who actor.Actor) api.Check {
	own, err := o.house.Keys(ctx, who)
	switch {
	case err != nil:
		return check("keys", err, "", "See the log; look at the disk and the database server.")
	case len(own.Forged) > 0:
		return api.Check{Name: "keys", Detail: "peers were shown a version of this identity that this node did not make: somebody has its keys",
			Advice: "Recover at once: entente keys recover prepare --compromise-since TIME --out FILE. Then tell the other parties."}
	case own.Prepared != nil:
		return api.Check{Name: "keys", Detail: "a version waits for the recovery keys' signatures",
			Advice: "Finish it with \"entente keys recover finish\", or give it up with \"entente keys recover cancel\"."}
	}
	return api.Check{Name: "keys", OK: true, Detail: fmt.Sprintf("version %d of the identity is in force", len(own.Versions))}
}

// checkRecovery looks whether the recovery keys still lie beside what they are to recover.
func (o operator) checkRecovery() api.Check {
	left, err := filepath.Glob(filepath.Join(o.cfg.Data, recoveryDir, "recovery-*.txt"))
	if err != nil || len(left) > 0 {
		return api.Check{Name: "recovery", Detail: fmt.Sprintf("%d recovery keys lie in the data directory", len(left)),
			Advice: "Print them, keep them apart from each other, and delete the files."}
	}
	return api.Check{Name: "recovery", OK: true, Detail: "no recovery key lies in the data directory"}
}

func checkLink(l flow.LinkView, now time.Time) api.Check {
	c := api.Check{Name: "link " + l.Alias, OK: true, Detail: "state " + l.State}
	f := l.Figures
	switch l.Reach(true) {
	case flow.ReachOnewayOut:
		c.Detail += fmt.Sprintf("; it goes one way: %d parcels were sent and cannot be acknowledged, %d wait to be packed", f.Sent, f.Sending)
	case flow.ReachOnewayIn:
		c.Detail += "; it goes one way, to us"
		if f.Gaps > 0 {
			c.OK, c.Detail = false, fmt.Sprintf("%d holes are in what came by this one-way link: a file of it got lost", f.Gaps)
			c.Advice = "Ask the other party to pack again all that it sent: entente courier pack LINK FILE --again"
		}
	}
	if l.PeerContested {
		c.OK, c.Detail = false, "two versions contest which follows the peer's identity: somebody else may hold its keys, and nothing is said or taken"
		c.Advice = "Call the other party on a number that you know: it must sign with its recovery keys (entente keys recover)."
		return c
	}
	if f.OldestUnreceipted != 0 && now.Sub(time.UnixMicro(f.OldestUnreceipted)) > undeliveredFor {
		c.OK, c.Detail, c.Advice = false, fmt.Sprintf("the oldest of %d parcels has no receipt since more than a day", f.Sending), "Ask the other party whether its node runs, and look at the network."
	}
	if f.UncosignedOwn > 0 && now.Sub(time.UnixMicro(max(f.CosignedAt, l.Created))) > uncosignedFor {
		c.OK, c.Detail, c.Advice = false, fmt.Sprintf("%d leaves of our ledger wait for a cosignature since more than an hour", f.UncosignedOwn), "Ask the other party whether its node runs; if it does, verify the ledgers."
	}
	switch p := l.Epochs.Progress; {
	case l.Catching == exchange.CaughtUp:
	case l.Catching == exchange.ReadOnly:
		c.OK, c.Detail, c.Advice = false, "this node was restored and cannot learn what it said since, so the link is only read", "Pair anew with the other party."
	case !p.Known:
		c.OK, c.Detail, c.Advice = false, "a new epoch is open, and the other party has not said yet what it holds of the former ones",
			"Ask the other party whether its node runs. If it gives nothing back: entente ledger epoch "+l.Alias+" --reason …"
	default:
		c.OK, c.Detail, c.Advice = false, fmt.Sprintf("catching up: %d of %d statements of former epochs", p.Done, p.Total), "Wait; \"entente links show "+l.Alias+"\" tells how far it is."
	}
	return c
}

// Build is which program this is.
type Build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

// Version reads it from what the compiler recorded.
func Version() Build {
	b := Build{Version: "(devel)", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	return b
}

// OpenAPI is the description of the API, indented for people.
func OpenAPI() ([]byte, error) {
	doc := jsontext.Value(api.Describe())
	if err := doc.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("indenting the description: %w", err)
	}
	return append(doc, '\n'), nil
}
