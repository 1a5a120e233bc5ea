/* The client without I/O: bytes and time in, bytes and a time-out out. It owns the connection's
 * state machine (core_link.c), the session's lease (core_session.c), numbered requests and their
 * repetition (core_call.c, core_answer.c) and the grants (core_grants.c). It has no clock, socket,
 * thread or random number of its own: a shell (io.c, or the simulator) calls it, one call at a
 * time, then looks at what it wants:
 *
 *   core.link.epoch, .state   a connection to core_target() under this number, or none
 *   core.out                  bytes for that connection; the shell takes from its front
 *   core.wake_ns              call core_tick() no later than this
 *   core_take_finished()      calls whose callers may go on
 *   core_take_loss()          grants to be told lost
 *   core_take_asked()         grants to be told asked back
 *
 * Whatever a server sends that does not check out closes the connection; calls are then repeated
 * on the next one under the same (session, seq). docs/contract.md, sections 2, 3 and 11. */
#ifndef CLIENT_CORE_H
#define CLIENT_CORE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/slice.h"
#include "client/breaker.h"
#include "client/core_grants.h"
#include "client/core_metrics.h"
#include "client/core_recorder.h"
#include "protocol/frame.h"
#include "protocol/messages.h"

enum {
    CORE_CALLS_MAX = 4096,          /* in the table, answered ones that wait for a late reply too */
    CORE_ENDPOINTS_MAX = 16,        /* servers that are tried in turn */
    CORE_OUT_BYTES = 1024 * 1024,   /* nothing more is sent while so much waits in `out` */
    CORE_BODY_KEPT_BYTES = 4096,    /* a free call keeps no larger buffer */
    CORE_ABANDONS_MAX = 4096,       /* tokens to be given back */
    CORE_DEAD_MAX = 4096,           /* lost tokens that no answer brought yet */
    CORE_ARENA_BYTES = 512 * 1024,  /* the largest answer that the core decodes itself */
    CORE_CONNECT_TIMEOUT_MS = 1000, /* TCP */
    CORE_RETRY_MS_MIN = 100,        /* first pause after all servers were tried */
    CORE_RETRY_MS_MAX = 1000,       /* it grows by half up to this */
    CORE_REDIRECTS_MAX = 4,         /* followed in a row without a pause */
    CORE_RESEND_MS = 100,           /* before a refused call is sent again */
    CORE_BUSY_MS_MAX = 10000,       /* a server that wants to be left alone is, for so long */
    CORE_SILENCE_MS = 500,          /* a silent server of several is left: some elections */
    CORE_SILENCE_CALM_MS = 30 * 1000, /* it doubles while that is in vain; after so long anew */
    CORE_ANSWER_TIMEOUT_MS_MIN = 250, /* at the most it is ttl / 3, within */
    CORE_ANSWER_TIMEOUT_MS_MIN_LONE = 2000, /* these; the only one that there is not so soon, as */
    CORE_ANSWER_TIMEOUT_MS_MAX = 5000,      /* the next connection would lead to it again */
};

#define CORE_NEVER UINT64_MAX

struct core_config {
    const char *servers;       /**< "host:port,host:port"; borrowed during core_init() */
    struct slice name;         /**< of the client, for people; copied */
    struct slice meta;         /**< shown beside the session; copied */
    uint64_t ttl_ms;           /**< the session's lease, TTL_MS_MIN..TTL_MS_MAX */
    uint64_t margin_ms;        /**< taken off every local deadline */
    uint32_t drift_ppm;        /**< how wrong the local clock's rate may be, below 1,000,000 */
    uint64_t breaker_after_ms; /**< as struct breaker's after_ms; 0 = off */
    uint64_t breaker_open_ms;  /**< as its open_ms */
    uint32_t retries_per_s;    /**< as struct budget's per_s; 0 = no limit */
    bool stale_reads;          /**< reads say stale_ok */
    uint64_t progress_ms; /**< renew no more after so long without core_progress(); 0 = always */
    void (*random_cb)(void *out, size_t bytes, void *data); /**< secrets and owner ids */
    void *random_data;                                      /**< handed to it */
    struct recorder_sink *history; /**< borrowed until core_close(); NULL = nothing is recorded */
};

/* ------------------------------------------------------------------ calls */

/** What becomes of a sent call that got no answer in time. */
enum call_fate {
    FATE_CANCEL,      /**< HF_ETIMEOUT, and CANCEL until that is answered */
    FATE_HOLD,        /**< HF_EUNKNOWN, kept for core_call_retry() or core_call_cancel() */
    FATE_REPEAT,      /**< HF_EUNKNOWN, and repeated in the background */
    FATE_REPEAT_SURE, /**< HF_ETIMEOUT, and repeated in the background, also if never sent */
};

struct call {
    struct list link;      /**< in core.active or core.idle */
    struct list seq_link;  /**< in core.numbered while it has a seq and no answer */
    struct list send_link; /**< in core.send_session or core.send_plain while due to be sent */
    struct list done_link; /**< in core.finished until its caller was told */

    const struct op_info *op; /**< what it asks */
    struct buffer body;       /**< the encoded request */
    uint64_t id;              /**< unique in this client; 0 = in the idle list */
    uint64_t seq;             /**< 0 = never sent, or an op without a number */
    uint64_t request_id;      /**< of its request on the present connection; 0 = none */
    uint64_t cancel_id;       /**< of its CANCEL likewise */
    uint64_t first_send_ns;   /**< when it was sent first */
    uint64_t sent_ns;         /**< when it was sent last */
    uint64_t cancel_ns;       /**< when its CANCEL was */
    uint64_t deadline_ns;     /**< the caller waits no longer; CORE_NEVER */
    uint64_t resend_ns;       /**< not to be sent again before; CORE_NEVER = not waiting for it */
    uint32_t unsure;          /**< sends of which nobody said that they had no effect */
    enum call_fate fate;      /**< after deadline_ns */
    bool is_new_work;         /**< not freed, renewed or finished: only that is ever held back */
    bool parks;               /**< it may wait at the servers: no answer means nothing */
    bool attached;            /**< a caller looks at this struct */
    bool returned;            /**< the caller has its verdict */
    bool held;                /**< for core_call_retry() and core_call_cancel() */
    bool cancelling;          /**< unwanted: CANCEL it, give back what it brings */
    bool interrupted;         /**< unwanted by one who waits for it: core_call_interrupt() */
    bool over;                /**< `status` is final */
    bool confirming;          /**< answered; waits until its grant's deadline is known */
    bool wants_reply;         /**< the caller reads `reply`, also beside a refusal */
    int verdict;              /**< what the caller is told */
    int status;               /**< the final answer, once over */
    uint8_t flags;            /**< of the answer: enum reply_flags */
    struct buffer reply;      /**< the answer's body */
    struct grant_ref grant;   /**< ACQUIRE, BEGIN: what it brought; EXTEND and such: whose */
    uint64_t token;           /**< ACQUIRE, BEGIN: likewise */
    uint64_t lease_left_ms;   /**< ACQUIRE, BEGIN: left when the request was first sent */
    uint64_t owner;           /**< ACQUIRE: the owner */
    uint64_t session;         /**< TXN: that answered it and lived; 0 = none */
    uint64_t hold_ms;         /**< ACQUIRE: hold_max; BEGIN, EXTEND: the lease; 0 = none */
    void *waiter;             /**< the shell's: who is told that it is finished, or NULL */
    void *output;             /**< the shell's: what a success writes to */
    void *handle;             /**< the shell's: what it was called on */
    void *request;            /**< the shell's: what names it if it is held, or NULL */
    int (*take_cb)(struct call *call, int verdict); /**< the shell's: what its caller is told */
    void (*done_cb)(int status, void *waiter);      /**< the shell's: tells it */
    struct recorder_op *recorded; /**< the recorder's, until its line is written; else NULL */
};

/* ------------------------------------------------------------------ parts */

enum link_state {
    LINK_IDLE,       /**< nothing to do, no connection */
    LINK_PAUSE,      /**< until retry_ns, no connection */
    LINK_CONNECTING, /**< the shell connects */
    LINK_HELLO,      /**< HELLO is on its way */
    LINK_OPEN,       /**< calls without a session may be sent */
    LINK_SESSION,    /**< OPEN or RESUME is on its way */
    LINK_READY,      /**< everything may be sent */
};

struct link {
    enum link_state state;
    uint64_t epoch;          /**< counts connections; what an older one brings is not used */
    uint64_t retry_ns;       /**< LINK_PAUSE: until when */
    uint64_t timeout_ns;     /**< CONNECTING, HELLO, SESSION: give up then; CORE_NEVER */
    uint64_t pause_ms;       /**< the next pause */
    uint64_t hello_id;       /**< request id; 0 = none on its way */
    uint64_t session_id;     /**< of OPEN or RESUME, likewise */
    uint64_t up_ns;          /**< since when LINK_READY */
    uint64_t heard_ns;       /**< when bytes came last */
    uint64_t asked_ns;       /**< when the oldest call was sent that should be answered by now */
    uint64_t vain_ns;        /**< when leaving a silent server was found to be in vain last */
    uint32_t vain_count;     /**< how often in a row: it was only slow */
    bool deaf;               /**< a call was given up, and nothing was heard since it was sent */
    int why;                 /**< why there is no connection: a status for those who waited */
    uint32_t endpoint_count; /**< 1..CORE_ENDPOINTS_MAX */
    uint32_t endpoint;       /**< index of the one in use or next */
    uint32_t failures;       /**< connections lost or refused since the last pause */
    uint32_t redirects;      /**< followed since a connection was ready */
    bool redirected;         /**< target is a leader that a server named, not endpoints[endpoint] */
    bool superseded;         /**< once already, without a session confirmed since */
    uint8_t cluster_id[CLUSTER_ID_BYTES];                      /**< all zero = not known */
    char endpoints[CORE_ENDPOINTS_MAX][ADDRESS_BYTES_MAX + 1]; /**< "host:port" */
    char target[ADDRESS_BYTES_MAX + 1];                        /**< a redirect's */
    char left[ADDRESS_BYTES_MAX + 1]; /**< the server that was left as silent; "" = none */
};

enum session_phase {
    SESSION_NONE,    /**< the next call that needs one opens it */
    SESSION_OPENING, /**< its secret was sent, its id is not known */
    SESSION_LIVE,    /**< as far as is known */
    SESSION_ENDED,   /**< a server said so; old calls still fetch their stored answers */
};

struct session {
    enum session_phase phase;
    uint8_t secret[SESSION_SECRET_BYTES]; /**< drawn for each session */
    uint64_t id;                          /**< the server's; 0 = none */
    uint64_t first_send_ns;               /**< of OPEN with this secret; 0 = not sent */
    uint64_t send_ns;                     /**< of the OPEN, RESUME or KEEP on its way */
    uint64_t renewed_ns;                  /**< when the last acknowledged renewal was sent */
    uint64_t deadline_ns;                 /**< the local one; 0 = none yet */
    uint64_t keep_ns;                     /**< when to send the next KEEP; CORE_NEVER */
    uint64_t keep_id;                     /**< request id; 0 = none on its way */
    uint64_t keep_timeout_ns;             /**< the connection is left then */
    uint64_t due_ns;                      /**< no grant needs a look before */
    uint64_t seq_last;                    /**< highest number given */
    int end_reason;                       /**< ENDED: enum end_reason; 0 = not known */
    uint32_t ack_count;                   /**< losses to be acknowledged */
    uint64_t acks[LOSSES_MAX];            /**< their tokens */
    uint32_t dead_count;                  /**< lost tokens that no answer brought yet */
    uint64_t *dead;                       /**< owned, CORE_DEAD_MAX; NULL = none yet */
    bool dead_overflow;                   /**< more were lost than could be remembered */
};

struct abandon {
    uint64_t token;               /**< to be given back; 0 = a free place */
    uint64_t request_id;          /**< 0 = not on its way */
    uint64_t resend_ns;           /**< not before */
    struct recorder_op *recorded; /**< the recorder's, likewise */
};

struct core {
    struct core_config config; /**< name and meta borrowed from below */
    struct prng prng;          /**< jitter */
    struct link link;
    struct session session;
    struct grants grants;
    struct recorder *recorder;   /**< owned; NULL = off */
    struct breaker breaker;      /**< of new work */
    struct budget budget;        /**< of its repetitions */
    struct core_metrics metrics; /**< counted since core_init() */

    struct list active;       /**< calls in the order of core_submit() */
    struct list idle;         /**< calls to be used again */
    struct list numbered;     /**< unanswered ones with a seq, rising */
    struct list send_session; /**< to be sent, in this order, once LINK_READY */
    struct list send_plain;   /**< to be sent from LINK_OPEN on */
    struct list finished;     /**< callers to be told */
    struct list losses;       /**< grants to be told lost */
    struct list asked;        /**< grants to be told asked back */
    struct call **calls;      /**< owned, CORE_CALLS_MAX: by index */
    uint32_t call_count;      /**< calls ever made, all in `calls` */
    uint32_t busy_count;      /**< active ones that are not over */
    uint32_t over_count;      /**< active ones that are over: late replies, untold callers */
    uint32_t numbered_count;  /**< of `numbered` */
    uint32_t range_wait;      /**< requests to go until ranges are sent again */
    uint64_t id_last;         /**< highest request id drawn, without its low bits */

    struct abandon *abandons;     /**< owned, CORE_ABANDONS_MAX */
    uint32_t abandon_count;       /**< places used, free ones among them */
    uint32_t abandon_left;        /**< tokens in them */
    bool abandons_due;            /**< some may have to be sent */
    bool closing;                 /**< no new calls; CLOSE was submitted */
    _Atomic uint64_t progress_ns; /**< when the application last made progress; any thread */
    _Atomic bool stalled;         /**< it has not for progress_ms: nothing is renewed */

    struct arena arena;           /**< for one decoded answer at a time */
    struct buffer in;             /**< received, no whole frame yet */
    struct buffer out;            /**< to be sent */
    uint64_t wake_ns;             /**< call core_tick() no later */
    char name[NAME_BYTES_MAX];    /**< the client's */
    uint8_t meta[META_BYTES_MAX]; /**< beside the session */
};

/* ------------------------------------------------------------------ the shell's side */

/** Make a core. \param config borrowed, checked: HF_EINVAL names nothing. \retval HF_ENOMEM */
HF_MUST_USE
int core_init(struct core *c, const struct core_config *config);

/** Free it; a zeroed one is accepted. Calls that somebody still waits for are freed, too. */
void core_close(struct core *c);

/** Where link.epoch's connection goes: "host:port", borrowed until the next call. */
const char *core_target(const struct core *c);

/** The connection under number `epoch` stands. */
void core_connected(struct core *c, uint64_t epoch, uint64_t now_ns);

/** It could not be made, or broke, or was closed by the server. */
void core_disconnected(struct core *c, uint64_t epoch, uint64_t now_ns);

/** Bytes came from it. */
void core_received(struct core *c, uint64_t epoch, struct slice bytes, uint64_t now_ns);

/** The shell took bytes from `out`: more may be sent. */
void core_drained(struct core *c, uint64_t now_ns);

/** It is now_ns: do what is due, set wake_ns anew. */
void core_tick(struct core *c, uint64_t now_ns);

/** The next call whose caller may go on, or NULL. */
struct call *core_take_finished(struct core *c);

/** The next loss to tell. \return false = none. */
bool core_take_loss(struct core *c, struct grant_loss *loss);

/** The next grant to tell asked back, once each. \return false = none. */
bool core_take_asked(struct core *c, struct grant_asked *asked, uint64_t now_ns);

/* ------------------------------------------------------------------ a caller's side */

/** May a caller begin this now? \param request a struct of the op's request type.
 * \return false: the breaker is open, HF_EBREAKER. */
HF_MUST_USE
bool core_admits(struct core *c, uint16_t op, const void *request, uint64_t now_ns);

/** Take a call and encode its request into it.
 * \param request  a struct of the op's request type; borrowed.
 * \param call     Out: attached to the caller, who fills fate and such, then core_submit()s it.
 * \retval HF_EUNACKED too many are under way. \retval HF_ENOMEM, HF_ETOOLARGE */
HF_MUST_USE
int core_call_new(struct core *c, uint16_t op, const void *request, struct call **call);

/** Send it as soon as may be; its verdict is due by deadline_ns. */
void core_submit(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns);

/** The caller looks at `call` no more. It lives on while the core needs it. */
void core_detach(struct core *c, struct call *call);

/** The held call of this id, or NULL. */
struct call *core_call_find(struct core *c, uint64_t id);

/** The call of this id that somebody waits for and was not told yet, or NULL. */
struct call *core_call_pending(struct core *c, uint64_t id);

/** Ask again under the same number. Attaches; already finished if the answer came meanwhile. */
void core_call_retry(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns);

/** End it: its verdict is HF_OK, HF_EBADSTATE (applied; cannot be undone) or HF_EUNKNOWN. A release
 * is not ended but repeated: its grant is gone here, so nothing else would free the lock. */
void core_call_cancel(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns);

/** A caller who waits wants it no more. Certainly without effect it ends at once, HF_ECANCELLED;
 * else CANCEL is sent, and it ends with the answer to that: HF_ECANCELLED, also if what it brought
 * goes back, or what it had been answered before. No answer until its deadline, or deadline_ns if
 * that is earlier, or asked for a second time: HF_ETIMEOUT for what goes back, else HF_EUNKNOWN,
 * and CANCEL is repeated in the background. A release ends at once, HF_ETIMEOUT, and is repeated.
 */
void core_call_interrupt(struct core *c, struct call *call, uint64_t deadline_ns, uint64_t now_ns);

/** Interrupt calls that somebody waits for. \param handle  those of this one; NULL = all but CLOSE.
 */
void core_interrupt_all(struct core *c, const void *handle, uint64_t deadline_ns, uint64_t now_ns);

/** The same, but only those of which nothing stays: acquires, begins, reads. */
void core_interrupt_undoable(struct core *c, uint64_t deadline_ns, uint64_t now_ns);

/** The handle of held calls goes away: cancel them; nobody can ask for them any more. */
void core_drop_held(struct core *c, const void *handle, uint64_t now_ns);

/** A grant or attempt that is wanted no more: ended here, given back in the background. */
void core_drop_grant(struct core *c, struct grant_ref ref, uint64_t now_ns);

/** A grant or attempt that a call under way is ending: ended here, and not given back. */
void core_forget_grant(struct core *c, struct grant_ref ref);

/** The application made progress after it had stalled: renew again, at once. (While it has not,
 * progress_ns is all that need be set.) */
void core_progress(struct core *c, uint64_t now_ns);

/** Declare lost what is past its deadline, without waiting for core_tick(). */
void core_expire(struct core *c, uint64_t now_ns);

/** Draw an owner id. */
uint64_t core_draw_owner(struct core *c);

/* ------------------------------------------------------------------ between the core's files */

/** Nanoseconds at which a lease of `lease_ms` sent at `send_ns` is locally over. */
uint64_t core_deadline(const struct core *c, uint64_t send_ns, uint64_t lease_ms);

/** Have core_tick() called by then. */
static inline void core_wake(struct core *c, uint64_t at_ns)
{
    if (at_ns < c->wake_ns) c->wake_ns = at_ns;
}

enum id_kind { ID_CALL = 1, ID_CANCEL, ID_HELLO, ID_SESSION, ID_KEEP, ID_ABANDON };

/** Draw a request id that tells its kind and an index below 4,096. */
uint64_t core_draw_id(struct core *c, enum id_kind kind, uint32_t index);

/** Append a frame to `out`. \param body encoded already. \retval HF_ENOMEM */
HF_MUST_USE
int core_write(struct core *c, uint16_t op, uint64_t request_id,
               const struct client_envelope *envelope, struct slice body);

/** As core_write(), with a request struct. */
HF_MUST_USE
int core_write_request(struct core *c, uint16_t op, uint64_t request_id, bool with_session,
                       const void *request);

/** Send what may be sent in the link's state. */
void core_pump(struct core *c, uint64_t now_ns);

/** No connection yet; some server of the list is the first to be tried. */
void core_link_init(struct core *c);
/** Parse "host:port,...". \retval HF_EINVAL */
HF_MUST_USE
int core_link_parse(struct link *link, const char *servers);
/** How long to wait for the answer to HELLO, OPEN, RESUME or KEEP, nanoseconds. */
uint64_t core_link_patience_ns(const struct core *c);
/** A call was sent that should be answered at once; until then core_link_tick() looks. */
void core_link_asked(struct core *c, uint64_t now_ns);
/** The session stands on this connection. Was it in vain that another one was left? */
void core_link_ready(struct core *c, uint64_t now_ns);
/** Leave the connection and try the next server: at once, or after a pause. */
void core_link_down(struct core *c, int why, bool pause, uint64_t now_ns);
/** Go to the leader that a server named (empty: not known). */
void core_link_redirect(struct core *c, struct slice address, uint64_t now_ns);
/** Take the next step if there is a reason to: connect, open a session. */
void core_link_advance(struct core *c, uint64_t now_ns);
/** Timers of the link. */
void core_link_tick(struct core *c, uint64_t now_ns);
/** A whole frame came. \return false = it broke the protocol; the link is down. */
bool core_link_frame(struct core *c, const struct reply_frame *reply, uint64_t now_ns);

/** Encode OPEN or RESUME and send it. */
void core_session_start(struct core *c, uint64_t now_ns);
/** The answer to OPEN or RESUME. \return false = protocol broken. */
bool core_session_started(struct core *c, const struct reply_frame *reply, uint64_t now_ns);
/** The answer to KEEP. \return false = protocol broken. */
bool core_session_kept(struct core *c, const struct reply_frame *reply, uint64_t now_ns);
/** Send KEEP then, if none is on its way. */
void core_keep_at(struct core *c, uint64_t at_ns);
/** Timers of the session and its grants. */
void core_session_tick(struct core *c, uint64_t now_ns);
/** A server said that it ended (HF_ESESSION), or that it does not know it. */
void core_session_end(struct core *c, int status, int reason, uint64_t now_ns);
/** Forget an ended session once no call waits for its stored answer. */
void core_session_reset_if_drained(struct core *c, uint64_t now_ns);
/** Was this token told lost before an answer brought it? */
bool core_session_is_dead(const struct core *c, uint64_t token);
/** Give a token back until that is answered or the session has ended. */
void core_abandon(struct core *c, uint64_t token, uint64_t now_ns);
/** Is it being given back? Then no answer brings it to life again. */
bool core_is_abandoned(const struct core *c, uint64_t token);
/** The answer to an ABANDON. */
void core_abandoned(struct core *c, uint32_t index, const struct reply_frame *reply,
                    uint64_t now_ns);
/** Declare a grant lost: once, told, and given back if it was declared locally. */
void core_lose(struct core *c, struct slot *s, bool locally, int reason, uint64_t now_ns);
/** Let readers see the grant's deadline as it follows from its session's and its own. */
void core_refresh(struct core *c, struct slot *s);

/** A new attempt's slot, which keeps its lease from now on. Not published: core_refresh().
 * \param begin  what it was begun with. \param first_send_ns  of that request.
 * \return NULL = no memory; the token is given back. */
struct slot *core_attempt(struct core *c, const struct msg_begin *begin, uint64_t token,
                          uint64_t first_send_ns, uint64_t now_ns);

/** A TXN is on its way: what it releases is not valid until it is over. */
void core_txn_submitted(struct core *c, struct call *call);
/** How many ops of TXNs under way release a grant, or complete an attempt. Uses the arena. */
uint32_t core_txn_ends(struct core *c, uint64_t token);
/** Its answer: what it means for grants and attempts that are known here. Attempts that it has
 * begun are given back if nobody waits for them. \return false = protocol broken. */
bool core_txn_answered(struct core *c, struct call *call, const struct reply_frame *reply,
                       uint64_t now_ns);
/** It is over, whatever became of it; call->status tells. */
void core_txn_over(struct core *c, struct call *call);
/** Its attempts are wanted by nobody. \param reply  an answer that is OK; decodes. */
void core_txn_give_back(struct core *c, struct slice reply, uint64_t now_ns);

/** Does CANCEL end it? A release has let go of its grant: it must arrive, wanted or not. */
static inline bool core_takes_cancel(const struct call *call)
{
    return call->op->code != OP_CODE_RELEASE;
}
/** Is it given back if nobody wants it? */
static inline bool core_goes_back(const struct call *call)
{
    uint16_t op = call->op->code; /* what a POLL brought goes back when its leases end */
    return op == OP_CODE_ACQUIRE || op == OP_CODE_BEGIN || op == OP_CODE_TIMER_POLL;
}
/** Put every call back that was on its way; those of a dead connection are sent again. */
void core_calls_disconnected(struct core *c);
/** The session ended: what can still be learned is asked for, the rest is over. */
void core_calls_session_ended(struct core *c, int status);
/** Time-outs and repetitions. */
void core_calls_tick(struct core *c, uint64_t now_ns);
/** Queue a call to be sent. */
void core_call_queue(struct core *c, struct call *call);
/** One acquisition of a living grant is unwanted: count it down, the others stay. */
void core_count_down(struct core *c, struct slot *s, uint64_t now_ns);
/** What was asked under an attempt that is being given back is not asked again: HF_ELOST. */
void core_calls_attempt_lost(struct core *c, struct grant_ref ref);
/** It has its final answer. */
void core_call_over(struct core *c, struct call *call, int status);
/** Its caller may go on, with this verdict. */
void core_call_tell(struct core *c, struct call *call, int verdict);
/** What `status` is to the caller, who may have cancelled. */
HF_MUST_USE
int core_call_verdict(const struct call *call, int status);
/** CANCEL was not answered in time: its caller may go on, it is repeated. */
void core_call_unanswered(struct core *c, struct call *call);
/** Somebody waits for a held call again. */
void core_call_attach(struct core *c, struct call *call, uint64_t deadline_ns);
/** Its number is answered, though its caller waits on for the grant's deadline. */
void core_call_confirming(struct core *c, struct call *call);
/** Give its struct back if nothing holds it. */
void core_call_settle(struct core *c, struct call *call);
/** Send it again after a while. */
void core_call_later(struct core *c, struct call *call, uint64_t delay_ms, uint64_t now_ns);

/** How long to leave a server alone that has refused: as TOO_BUSY tells, within bounds. */
uint64_t core_busy_ms(struct core *c, uint16_t op, const struct reply_frame *reply);

/** After core_link_down(): no server is tried before. */
void core_link_not_before(struct core *c, uint64_t at_ns);
/** The answer to a call. \return false = protocol broken. */
bool core_answered(struct core *c, struct call *call, const struct reply_frame *reply,
                   uint64_t now_ns);
/** The answer to its CANCEL. \return false = protocol broken. */
bool core_cancelled(struct core *c, struct call *call, const struct reply_frame *reply,
                    uint64_t now_ns);
/** Renew an attempt's own lease in the background. */
void core_extend(struct core *c, struct slot *s, uint64_t now_ns);
/** A grant's deadline became known, or it is lost: let the caller that waits for it go. */
void core_confirm(struct core *c, struct slot *s);

#endif
