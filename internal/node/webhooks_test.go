package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"entente/internal/notice"
)

// A running node tells a real receiver, which knows it by the secret that was shown once.
func TestNodePostsToReceiver(t *testing.T) {
	calls := make(chan bool, 10)
	secrets := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		secret := <-secrets
		secrets <- secret
		body, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, r.Header.Get("webhook-id")+"."+r.Header.Get("webhook-timestamp")+"."+string(body))
		calls <- r.Header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}))
	defer server.Close()
	cfg := founded(t)
	n, err := Open(t.Context(), cfg, noPassphrase, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := Dial(cfg.Data)
	defer c.Close()
	for c.Ready(t.Context()) != nil {
		if len(ended) > 0 {
			t.Fatal("the node ended")
		}
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	made, err := c.AddWebhook(t.Context(), NewWebhook{URL: server.URL + "/hook", Private: true, CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	secrets <- made.Secret
	tested, err := c.TestWebhook(t.Context(), made.Webhook.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !<-calls {
		t.Error("the signature is not that of the secret")
	}
	for {
		list, err := c.Deliveries(t.Context(), made.Webhook.ID, string(notice.Delivered), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) == 1 && list.Items[0].Event == tested.Event && list.Items[0].Status == http.StatusOK {
			break
		}
	}
	if err := c.RemoveWebhook(t.Context(), made.Webhook.ID); err != nil {
		t.Error(err)
	}
	if list, err := c.Webhooks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("after its removal: %+v, %v", list, err)
	}
}
