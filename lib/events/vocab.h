/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vocab.h - the fixed words of telemetry: one table each, from which enums
 * and names are made.  The relay and telemetryd are built from the same
 * tables; their digest is in the segment's header, so that two programs
 * with different tables refuse each other instead of misreading.
 *
 * To add a word or a counter, add one line.
 */
#ifndef TULLE_EVENTS_VOCAB_H
#define TULLE_EVENTS_VOCAB_H

#include <stdint.h>

/* What a record is about.  A connection has one close; open and progress are optional. */
#define EVENT_KIND_TABLE(X)      \
	X(EVENT_CLOSE, "close")  \
	X(EVENT_OPEN, "open")    \
	X(EVENT_PROGRESS, "progress")

#define EVENT_DIRECTION_TABLE(X)         \
	X(EVENT_INBOUND, "inbound")      \
	X(EVENT_OUTBOUND, "outbound")

/* success: carried to its end; denied: refused on purpose; failed: never established; aborted: broken off. */
#define EVENT_OUTCOME_TABLE(X)       \
	X(EVENT_SUCCESS, "success")  \
	X(EVENT_DENIED, "denied")    \
	X(EVENT_FAILED, "failed")    \
	X(EVENT_ABORTED, "aborted")

#define EVENT_TLS_TABLE(X)               \
	X(EVENT_TLS_NONE, "none")        \
	X(EVENT_TLS_MUTUAL, "mutual")

/* Envoy's short codes, which people know. */
#define EVENT_FLAG_TABLE(X)            \
	X(EVENT_FLAG_NONE, "-")        \
	X(EVENT_FLAG_UH, "UH")         /* no healthy upstream */            \
	X(EVENT_FLAG_UF, "UF")         /* connection to upstream failed */  \
	X(EVENT_FLAG_UO, "UO")         /* upstream overflow */              \
	X(EVENT_FLAG_NR, "NR")         /* no route */                       \
	X(EVENT_FLAG_URX, "URX")       /* retries or connect attempts used up */ \
	X(EVENT_FLAG_UT, "UT")         /* upstream timed out */             \
	X(EVENT_FLAG_UC, "UC")         /* upstream ended the connection */  \
	X(EVENT_FLAG_UR, "UR")         /* upstream reset */                 \
	X(EVENT_FLAG_LR, "LR")         /* reset by us */                    \
	X(EVENT_FLAG_DC, "DC")         /* downstream ended the connection */ \
	X(EVENT_FLAG_LH, "LH")         /* local health check failed */      \
	X(EVENT_FLAG_DI, "DI")         /* delay injected */                 \
	X(EVENT_FLAG_FI, "FI")         /* fault injected */                 \
	X(EVENT_FLAG_RL, "RL")         /* rate limited */                   \
	X(EVENT_FLAG_UAEX, "UAEX")     /* denied by authorization */        \
	X(EVENT_FLAG_RLSE, "RLSE")     /* rate limit service failed */      \
	X(EVENT_FLAG_IH, "IH")         /* invalid header */                 \
	X(EVENT_FLAG_SI, "SI")         /* stream idle timeout */            \
	X(EVENT_FLAG_DPE, "DPE")       /* downstream protocol error */      \
	X(EVENT_FLAG_UPE, "UPE")       /* upstream protocol error */        \
	X(EVENT_FLAG_UMSDR, "UMSDR")   /* longest stream time reached */    \
	X(EVENT_FLAG_OM, "OM")         /* overload: memory */               \
	X(EVENT_FLAG_DF, "DF")         /* DNS failed */

/* One fixed word for the cause. */
#define EVENT_DETAIL_TABLE(X)                                                     \
	X(EVENT_DETAIL_NONE, "-")                                                 \
	X(EVENT_DETAIL_ENDED, "ended")                                            \
	X(EVENT_DETAIL_CLIENT_RESET, "client_reset")                              \
	X(EVENT_DETAIL_UPSTREAM_RESET, "upstream_reset")                          \
	X(EVENT_DETAIL_CONNECT_REFUSED, "connect_refused")                        \
	X(EVENT_DETAIL_CONNECT_TIMEOUT, "connect_timeout")                        \
	X(EVENT_DETAIL_CONNECT_UNREACHABLE, "connect_unreachable")                \
	X(EVENT_DETAIL_CONNECT_FAILED, "connect_failed")                          \
	X(EVENT_DETAIL_NO_ENDPOINT, "no_endpoint")                                \
	X(EVENT_DETAIL_NOT_IN_REGISTRY, "not_in_registry")                        \
	X(EVENT_DETAIL_NO_IDENTITY, "no_identity")                                \
	X(EVENT_DETAIL_NO_CONFIGURATION, "no_configuration")                      \
	X(EVENT_DETAIL_NO_WORKLOAD, "no_workload")                                \
	X(EVENT_DETAIL_HANDSHAKE_FAILED, "handshake_failed")                      \
	X(EVENT_DETAIL_HANDSHAKE_TIMEOUT, "handshake_timeout")                    \
	X(EVENT_DETAIL_CERTIFICATE_REFUSED, "certificate_refused")                \
	X(EVENT_DETAIL_UNEXPECTED_IDENTITY, "unexpected_identity")                \
	X(EVENT_DETAIL_TUNNEL_REFUSED, "tunnel_refused")                          \
	X(EVENT_DETAIL_TUNNEL_DENIED, "tunnel_denied")                            \
	X(EVENT_DETAIL_TUNNEL_TIMEOUT, "tunnel_timeout")                          \
	X(EVENT_DETAIL_TUNNEL_LOST, "tunnel_lost")                                \
	X(EVENT_DETAIL_TUNNEL_PROTOCOL, "tunnel_protocol_error")                  \
	X(EVENT_DETAIL_BAD_REQUEST, "bad_request")                                \
	X(EVENT_DETAIL_DENIED_BY_POLICY, "denied_by_policy")                      \
	X(EVENT_DETAIL_PLAINTEXT_REFUSED, "plaintext_refused")                    \
	X(EVENT_DETAIL_POLICY_CUT, "policy_cut")                                  \
	X(EVENT_DETAIL_DIRECT_HIT, "direct_hit")                                  \
	X(EVENT_DETAIL_LOOP, "loop")                                              \
	X(EVENT_DETAIL_IDLE_TIMEOUT, "idle_timeout")                              \
	X(EVENT_DETAIL_DEADLINE, "deadline")                                      \
	X(EVENT_DETAIL_CONNECTION_LIMIT, "connection_limit")                      \
	X(EVENT_DETAIL_MEMORY_LIMIT, "memory_limit")                              \
	X(EVENT_DETAIL_DESCRIPTORS, "descriptors_exhausted")                      \
	X(EVENT_DETAIL_PEER_ABUSE, "peer_abuse")                                  \
	X(EVENT_DETAIL_DRAINED, "drained")                                        \
	X(EVENT_DETAIL_SHUTDOWN, "shutdown")                                      \
	X(EVENT_DETAIL_INTERNAL, "internal_error")                                \
	X(EVENT_DETAIL_OWNER_UNKNOWN, "owner_unknown")

/*
 * Counters of a process, one array per worker.
 *
 *   X(symbol, kind, metric name, attributes as "key=value,key=value", unit, help)
 *
 * Lines of one metric stand together and share unit and help.  The kind says
 * how the workers' values become one:
 *   COUNTER  only grows; summed
 *   LEVEL    goes up and down; summed
 *   LATEST   a version; the largest
 *   EXPIRY   a time in seconds since the epoch, 0: none; the earliest, shown as seconds left
 *   STAMP    a time in seconds since the epoch; the latest
 */
enum counter_kind { COUNTER_SUM, COUNTER_LEVEL, COUNTER_LATEST, COUNTER_EXPIRY, COUNTER_STAMP };

/* The reasons of tls/svid.h in its order: COUNT_HANDSHAKE_IN_FAILED + (enum svid_reason) is the counter. */
#define COUNTER_HANDSHAKE_REASONS(X, symbol, way)                                      \
	X(COUNT_HANDSHAKE_##symbol##_OK, COUNTER_SUM, HANDSHAKES, "direction=" way, "{handshake}", HANDSHAKES_HELP) \
	COUNTER_HANDSHAKE(X, symbol##_FAILED, way, "other")                            \
	COUNTER_HANDSHAKE(X, symbol##_NO_CERTIFICATE, way, "no_certificate")           \
	COUNTER_HANDSHAKE(X, symbol##_MALFORMED, way, "malformed")                     \
	COUNTER_HANDSHAKE(X, symbol##_NO_URI_SAN, way, "no_uri_san")                   \
	COUNTER_HANDSHAKE(X, symbol##_TWO_URI_SANS, way, "two_uri_sans")               \
	COUNTER_HANDSHAKE(X, symbol##_IS_CA, way, "is_ca")                             \
	COUNTER_HANDSHAKE(X, symbol##_KEY_USAGE, way, "key_usage")                     \
	COUNTER_HANDSHAKE(X, symbol##_BAD_ID, way, "bad_id")                           \
	COUNTER_HANDSHAKE(X, symbol##_ROOT_PATH, way, "root_path")                     \
	COUNTER_HANDSHAKE(X, symbol##_EKU, way, "eku")                                 \
	COUNTER_HANDSHAKE(X, symbol##_EXPIRED, way, "expired")                         \
	COUNTER_HANDSHAKE(X, symbol##_NOT_YET_VALID, way, "not_yet_valid")             \
	COUNTER_HANDSHAKE(X, symbol##_UNKNOWN_TRUST_DOMAIN, way, "unknown_trust_domain") \
	COUNTER_HANDSHAKE(X, symbol##_UNKNOWN_CA, way, "unknown_ca")                   \
	COUNTER_HANDSHAKE(X, symbol##_BAD_SIGNATURE, way, "bad_signature")             \
	COUNTER_HANDSHAKE(X, symbol##_BAD_INTERMEDIATE, way, "bad_intermediate")       \
	COUNTER_HANDSHAKE(X, symbol##_CHAIN_TOO_DEEP, way, "chain_too_deep")           \
	COUNTER_HANDSHAKE(X, symbol##_UNEXPECTED_ID, way, "unexpected_id")             \
	COUNTER_HANDSHAKE(X, symbol##_ROOT_PIN, way, "root_pin")                       \
	COUNTER_HANDSHAKE(X, symbol##_REFUSED_OTHER, way, "refused_other")             \
	COUNTER_HANDSHAKE(X, symbol##_TIMEOUT, way, "timeout")                         \
	COUNTER_HANDSHAKE(X, symbol##_NOT_TLS, way, "not_tls")

#define HANDSHAKES "tulle.tls.handshake.count"
#define HANDSHAKES_HELP "TLS handshakes; error.type is absent when one succeeded."
#define COUNTER_HANDSHAKE(X, symbol, way, reason) \
	X(COUNT_HANDSHAKE_##symbol, COUNTER_SUM, HANDSHAKES, "direction=" way ",error.type=" reason, "{handshake}", \
	    HANDSHAKES_HELP)

#define COUNTER_TABLE(X)                                                                                              \
	X(COUNT_ACCEPT_OUTBOUND, COUNTER_SUM, "tulle.listener.accept.count", "listener=outbound", "{connection}",     \
	    "Connections accepted, by listener.")                                                                     \
	X(COUNT_ACCEPT_INBOUND, COUNTER_SUM, "tulle.listener.accept.count", "listener=inbound", "{connection}",       \
	    "Connections accepted, by listener.")                                                                     \
	X(COUNT_ACCEPT_HBONE, COUNTER_SUM, "tulle.listener.accept.count", "listener=hbone", "{connection}",           \
	    "Connections accepted, by listener.")                                                                     \
	X(COUNT_ACCEPT_PAUSE, COUNTER_SUM, "tulle.listener.pause.count", "", "{pause}",                               \
	    "Times a listener stopped accepting because descriptors or memory ran short.")                            \
	X(COUNT_DIRECT_HIT, COUNTER_SUM, "tulle.listener.direct.count", "", "{connection}",                           \
	    "Connections made straight to a capture port, refused.")                                                  \
	X(COUNT_LIMIT_REFUSED, COUNTER_SUM, "tulle.listener.limit.count", "", "{connection}",                         \
	    "Connections refused because a configured limit was reached.")                                            \
	X(COUNT_NO_CONFIGURATION, COUNTER_SUM, "tulle.listener.unconfigured.count", "", "{connection}",               \
	    "Connections refused because no configuration is in force.")                                              \
	COUNTER_HANDSHAKE_REASONS(X, IN, "inbound")                                                                   \
	COUNTER_HANDSHAKE_REASONS(X, OUT, "outbound")                                                                 \
	X(COUNT_TUNNEL_OPENED_IN, COUNTER_SUM, "tulle.tunnel.opened.count", "direction=inbound", "{tunnel}",          \
	    "HBONE connections opened.")                                                                              \
	X(COUNT_TUNNEL_OPENED_OUT, COUNTER_SUM, "tulle.tunnel.opened.count", "direction=outbound", "{tunnel}",        \
	    "HBONE connections opened.")                                                                              \
	X(COUNT_TUNNEL_CLOSED_IN, COUNTER_SUM, "tulle.tunnel.closed.count", "direction=inbound", "{tunnel}",          \
	    "HBONE connections closed.")                                                                              \
	X(COUNT_TUNNEL_CLOSED_OUT, COUNTER_SUM, "tulle.tunnel.closed.count", "direction=outbound", "{tunnel}",        \
	    "HBONE connections closed.")                                                                              \
	X(COUNT_STREAM_IN, COUNTER_SUM, "tulle.tunnel.stream.count", "direction=inbound", "{stream}",                 \
	    "CONNECT streams opened in tunnels.")                                                                     \
	X(COUNT_STREAM_OUT, COUNTER_SUM, "tulle.tunnel.stream.count", "direction=outbound", "{stream}",               \
	    "CONNECT streams opened in tunnels.")                                                                     \
	X(COUNT_STREAM_REFUSED, COUNTER_SUM, "tulle.tunnel.refused.count", "", "{stream}",                            \
	    "CONNECT streams that we refused.")                                                                       \
	X(COUNT_AUTHZ_ALLOW, COUNTER_SUM, "tulle.authz.decision.count", "decision=allow", "{decision}",               \
	    "Authorization decisions.")                                                                               \
	X(COUNT_AUTHZ_DENY, COUNTER_SUM, "tulle.authz.decision.count", "decision=deny", "{decision}",                 \
	    "Authorization decisions.")                                                                               \
	X(COUNT_AUTHZ_AUDIT, COUNTER_SUM, "tulle.authz.decision.count", "decision=audit", "{decision}",               \
	    "Authorization decisions.")                                                                               \
	X(COUNT_PLAINTEXT_REFUSED, COUNTER_SUM, "tulle.authz.plaintext_refused.count", "", "{connection}",            \
	    "Plaintext connections refused by PeerAuthentication.")                                                   \
	X(COUNT_POLICY_CUT, COUNTER_SUM, "tulle.authz.cut.count", "", "{connection}",                                 \
	    "Live connections ended because policy changed.")                                                         \
	X(COUNT_CONNECT_REFUSED, COUNTER_SUM, "tulle.upstream.connect_failure.count", "error.type=refused", "{attempt}", \
	    "Attempts to reach an upstream that failed.")                                                             \
	X(COUNT_CONNECT_TIMEOUT, COUNTER_SUM, "tulle.upstream.connect_failure.count", "error.type=timeout", "{attempt}", \
	    "Attempts to reach an upstream that failed.")                                                             \
	X(COUNT_CONNECT_UNREACHABLE, COUNTER_SUM, "tulle.upstream.connect_failure.count", "error.type=unreachable",   \
	    "{attempt}", "Attempts to reach an upstream that failed.")                                                \
	X(COUNT_CONNECT_TUNNEL, COUNTER_SUM, "tulle.upstream.connect_failure.count", "error.type=tunnel", "{attempt}", \
	    "Attempts to reach an upstream that failed.")                                                             \
	X(COUNT_CONNECT_OTHER, COUNTER_SUM, "tulle.upstream.connect_failure.count", "error.type=_OTHER", "{attempt}", \
	    "Attempts to reach an upstream that failed.")                                                             \
	X(COUNT_NEXT_ENDPOINT, COUNTER_SUM, "tulle.upstream.next_endpoint.count", "", "{attempt}",                    \
	    "Times the next endpoint was tried because one failed.")                                                  \
	X(COUNT_TIMEOUT_CUT, COUNTER_SUM, "tulle.connection.timeout.count", "", "{connection}",                       \
	    "Connections ended by a deadline.")                                                                       \
	X(COUNT_CONFIG_OK, COUNTER_SUM, "tulle.config.apply.count", "outcome=success", "{reload}",                    \
	    "Configurations read.")                                                                                   \
	X(COUNT_CONFIG_FAILED, COUNTER_SUM, "tulle.config.apply.count", "outcome=failure", "{reload}",                \
	    "Configurations read.")                                                                                   \
	X(COUNT_CONFIG_VERSION, COUNTER_LATEST, "tulle.config.version", "", "1",                                      \
	    "Generation of the configuration in force, from 1 at start.")                                             \
	X(COUNT_IDENTITY_UPDATE, COUNTER_SUM, "tulle.identity.update.count", "", "{update}",                          \
	    "Certificates taken from the Workload API.")                                                              \
	X(COUNT_EXPIRY_LEAF, COUNTER_EXPIRY, "tulle.certificate.expiry", "role=own_leaf", "s",                        \
	    "Seconds until the certificate expires.")                                                                 \
	X(COUNT_EXPIRY_ANCHOR, COUNTER_EXPIRY, "tulle.certificate.expiry", "role=trust_anchor", "s",                  \
	    "Seconds until the certificate expires.")                                                                 \
	X(COUNT_MEMORY, COUNTER_LEVEL, "tulle.memory.usage", "", "By", "Bytes that connections and tunnels hold.")    \
	X(COUNT_RELAY_STARTS, COUNTER_SUM, "tulle.relay.start.count", "", "{start}",                                  \
	    "Times a relay process was started.")                                                                     \
	X(COUNT_CONNECTIONS_LOST, COUNTER_SUM, "tulle.relay.lost_connection.count", "", "{connection}",               \
	    "Connections that were open when a relay process died.")                                                  \
	X(COUNT_EVENT_RING_FULL, COUNTER_SUM, "tulle.event.dropped.count", "reason=ring_full", "{event}",             \
	    "Events that did not get into the ring.")                                                                 \
	X(COUNT_EVENT_NO_CONSUMER, COUNTER_SUM, "tulle.event.dropped.count", "reason=no_consumer", "{event}",         \
	    "Events that did not get into the ring.")                                                                 \
	X(COUNT_STRINGS_OVERFLOW, COUNTER_SUM, "tulle.event.text_overflow.count", "", "{text}",                       \
	    "Texts that did not fit into the table of texts and became _other.")                                      \
	X(COUNT_SERIES_OVERFLOW, COUNTER_SUM, "tulle.event.series_overflow.count", "", "{connection}",                \
	    "Connections counted in the overflow series.")

#define VOCAB_SYMBOL(symbol, word) symbol,
#define VOCAB_COUNTER(symbol, kind, name, attributes, unit, help) symbol,

enum event_kind { EVENT_KIND_TABLE(VOCAB_SYMBOL) EVENT_KINDS };
enum event_direction { EVENT_DIRECTION_TABLE(VOCAB_SYMBOL) EVENT_DIRECTIONS };
enum event_outcome { EVENT_OUTCOME_TABLE(VOCAB_SYMBOL) EVENT_OUTCOMES };
enum event_tls { EVENT_TLS_TABLE(VOCAB_SYMBOL) EVENT_TLS_MODES };
enum event_flag { EVENT_FLAG_TABLE(VOCAB_SYMBOL) EVENT_FLAGS };
enum event_detail { EVENT_DETAIL_TABLE(VOCAB_SYMBOL) EVENT_DETAILS };
enum counter_id { COUNTER_TABLE(VOCAB_COUNTER) COUNTERS };

/* The word for a value; "_other" for one that is not in the table.  Never NULL. */
const char *event_kind_name(unsigned int v);
const char *event_direction_name(unsigned int v);
const char *event_outcome_name(unsigned int v);
const char *event_tls_name(unsigned int v);
const char *event_flag_name(unsigned int v);
const char *event_detail_name(unsigned int v);

struct counter_about {
	enum counter_kind kind;
	const char *name;       /* "tulle.authz.decision.count" */
	const char *attributes; /* "decision=allow", "" */
	const char *unit;       /* UCUM: "{decision}", "By", "s" */
	const char *help;
};

/* <id> must be below COUNTERS. */
const struct counter_about *counter_about(enum counter_id id);

/* FNV-1a over all tables and the sizes of the shared structures. */
uint64_t events_vocab_digest(void);

#endif
