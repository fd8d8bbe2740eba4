package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/party"
)

// scrapePatience bounds how long one reading of the gauges may take.
const scrapePatience = 5 * time.Second

// metrics are the node's own registry: gauges that are read from the store when they are asked for, and counters.
type metrics struct {
	registry *prometheus.Registry
	refused  *prometheus.CounterVec
	swept    prometheus.Counter
	segments *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_refusals_total", Help: "What the doors refused, by door and cause.",
		}, []string{"door", "cause"}),
		swept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "entente_swept_files_total", Help: "Sealed files that no row named and that were removed.",
		}),
		segments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_segment_bytes_total", Help: "Bytes of large parcels that were sent (out) and came (in), also those sent again.",
		}, []string{"way"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "entente_build_info", Help: "1; the version is in its label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.refused, m.swept, m.segments, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Refused counts a refusal; it is the house's flow.Counter.
func (m *metrics) Refused(door, code string) { m.refused.WithLabelValues(door, code).Inc() }

// Swept counts a sealed file that was removed; it is the house's flow.Counter, too.
func (m *metrics) Swept() { m.swept.Inc() }

// Segments counts bytes of large parcels; it is the house's flow.Counter, too.
func (m *metrics) Segments(way flow.Way, bytes int) {
	m.segments.WithLabelValues(string(way)).Add(float64(bytes))
}

// linkLister is the act that the gauges are read by.
type linkLister interface {
	Self() *party.Chain
	Links(ctx context.Context, who actor.Actor) ([]flow.LinkView, error)
}

// watch adds the gauges of the links of a house.
func (m *metrics) watch(house linkLister, now func() time.Time) {
	m.registry.MustRegister(&gauges{house: house, now: now, described: describeGauges()}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "entente_identity_valid_seconds", Help: "How long the version of the identity in force is still valid; below 0 once it has ended.",
	}, func() float64 { return time.UnixMicro(house.Self().Latest().NotAfter).Sub(now()).Seconds() }))
}

// gauge is one figure of a link.
type gauge struct {
	desc *prometheus.Desc
	read func(v flow.LinkView, now time.Time) float64
}

// gauges reads the figures of every link at each scrape.
type gauges struct {
	house     linkLister
	now       func() time.Time
	described []gauge
}

func describeGauges() []gauge {
	one := func(name, help string, read func(flow.LinkView, time.Time) float64) gauge {
		return gauge{prometheus.NewDesc("entente_link_"+name, help, []string{"link"}, nil), read}
	}
	count := func(name, help string, read func(flow.LinkView) int64) gauge {
		return one(name, help, func(v flow.LinkView, _ time.Time) float64 { return float64(read(v)) })
	}
	return []gauge{
		one("oldest_undelivered_seconds", "Age of our oldest parcel without a receipt; 0 if there is none.", func(v flow.LinkView, now time.Time) float64 {
			return age(v.Figures.OldestUnreceipted, now)
		}),
		one("cosigned_age_seconds", "Time since the peer last cosigned our ledger, while leaves wait for it; 0 if none do.", func(v flow.LinkView, now time.Time) float64 {
			if v.Figures.UncosignedOwn == 0 {
				return 0
			}
			return age(max(v.Figures.CosignedAt, v.Created), now)
		}),
		count("sending_parcels", "Our parcels without a receipt.", func(v flow.LinkView) int64 { return v.Figures.Sending }),
		count("sent_parcels", "Our parcels that left by a one-way link: they cannot be acknowledged, and nobody waits for that. Those that are kept to leave again.",
			func(v flow.LinkView) int64 { return v.Figures.Sent }),
		count("unsaid_parcels", "Our parcels of an epoch that has ended, which are to be said again.", func(v flow.LinkView) int64 { return v.Figures.Unsaid }),
		count("epoch", "The present epoch of our ledger.", func(v flow.LinkView) int64 { return int64(v.OwnEpoch) }),
		count("peer_epoch", "The present epoch of the peer's ledger.", func(v flow.LinkView) int64 { return int64(v.PeerEpoch) }),
		count("catching_up", "1 while we learn from the peer what former epochs hold.", func(v flow.LinkView) int64 {
			if v.Catching == exchange.CaughtUp || v.Catching == exchange.ReadOnly {
				return 0
			}
			return 1
		}),
		count("catching_up_statements", "Statements that are still to be gone through in catching up.", func(v flow.LinkView) int64 {
			return int64(v.Epochs.Progress.Total - v.Epochs.Progress.Done)
		}),
		count("arriving_parcels", "Parcels of the peer of which segments are missing.", func(v flow.LinkView) int64 { return v.Figures.Arriving }),
		count("unsettled_parcels", "Parcels of the peer that are not opened yet.", func(v flow.LinkView) int64 { return v.Figures.Unsettled }),
		count("uncosigned_own_leaves", "Leaves of our ledger that the peer has not cosigned.", func(v flow.LinkView) int64 { return v.Figures.UncosignedOwn }),
		count("uncosigned_peer_leaves", "Leaves of the peer's ledger that we have not cosigned.", func(v flow.LinkView) int64 { return v.Figures.UncosignedPeer }),
		count("peer_contested", "1 while two versions contest which follows the peer's identity.", func(v flow.LinkView) int64 {
			if v.PeerContested {
				return 1
			}
			return 0
		}),
		count("gaps", "Holes in the sequences that the peer sent.", func(v flow.LinkView) int64 { return v.Figures.Gaps }),
	}
}

// age is the seconds since an instant in UTC microseconds; 0 for none.
func age(micros int64, now time.Time) float64 {
	if micros == 0 {
		return 0
	}
	return max(now.Sub(time.UnixMicro(micros)).Seconds(), 0)
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range g.described {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector; when the store does not answer, the scrape says so.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
	defer cancel()
	views, err := g.house.Links(ctx, actor.System())
	if err != nil {
		out <- prometheus.NewInvalidMetric(g.described[0].desc, err)
		return
	}
	now := g.now()
	for _, v := range views {
		for _, d := range g.described {
			out <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, d.read(v, now), v.Alias)
		}
	}
}
