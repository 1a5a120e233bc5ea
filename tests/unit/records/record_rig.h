/* A machine, its twin and a clock, for tests of idempotency records: requests in, decoded answers
 * out. Every entry is applied to both machines, which must come to the same digest and the same
 * answers, and the invariants are checked after each. */
#ifndef TESTS_UNIT_RECORDS_RECORD_RIG_H
#define TESTS_UNIT_RECORDS_RECORD_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "machine/machine.h"
#include "protocol/messages.h"

enum { RIG_SESSIONS_MAX = 4096, RIG_WOKEN_MAX = 4096 };

/** An answer, decoded by its op and status. Valid until rig_forget() or rig_close(). */
struct answer {
    int status;        /**< HF_OK or what it was refused with */
    uint8_t flags;     /**< enum reply_flags */
    bool parked;       /**< no answer yet: rig_woken() */
    uint64_t session;  /**< of a woken one, else 0 */
    uint64_t seq;      /**< its number */
    struct slice body; /**< as it went out */
    union {
        struct msg_begin_reply begin;
        struct msg_running running;
        struct msg_unknown unknown;
        struct msg_state state;
        struct msg_extend_reply extend;
        struct msg_record_reply record;
        struct msg_record_list_reply list;
        struct msg_record_export_reply exported;
        struct msg_cancel_reply cancel;
        struct msg_open_reply open;
        struct msg_granted granted;
        struct msg_ended ended;
        struct msg_complaint complaint;
        struct msg_keep_reply keep;
        struct msg_session_list_reply sessions;
    } as; /**< by op and status */
};

struct rig {
    struct store *store;                /**< owned */
    struct machine *m;                  /**< owned */
    struct store *twin_store;           /**< owned */
    struct machine *twin;               /**< owned; the same entries in another process */
    struct arena memory;                /**< of answers */
    uint64_t now_ms;                    /**< cluster time of the next entry */
    uint64_t elapsed_ms;                /**< since the last entry, for rig_read() */
    uint64_t wall_ms;                   /**< wall clock of the next entry */
    uint64_t seqs[RIG_SESSIONS_MAX];    /**< last number that a session used */
    struct answer woken[RIG_WOKEN_MAX]; /**< answers of parked ones, in order */
    uint32_t woken_count;               /**< of them */
    uint32_t entry_count;               /**< applied */
    uint32_t check_every;               /**< entries between two checks of all invariants */
    struct answer last;                 /**< of the op that is being applied */
    uint16_t last_op;                   /**< its op */
    struct slice twin_body;             /**< the twin's answer to it */
    bool taping;                        /**< keep all entries, for rig_replay() */
    struct buffer tape;                 /**< entries, each with its digest and answers' hash */
    uint64_t said;                      /**< hash of what the entry's answers say */
    struct buffer entry;                /**< being made */
    struct buffer body;                 /**< likewise */
};

/** A fresh pair at time 1,000,000 and wall clock 1,700,000,000,000. Freed by rig_close(). */
struct rig *rig_open(void);
void rig_close(struct rig *r);

/** Forget all answers so far: long tests. */
void rig_forget(struct rig *r);

/** OPEN; the session's id. */
uint64_t rig_session(struct rig *r, uint64_t ttl_ms);

/** Apply one op under the session's next number, or without one if the op has none. */
struct answer rig_send(struct rig *r, uint64_t session, uint16_t op, const void *request);

/** Apply one op under this number. */
struct answer rig_send_as(struct rig *r, uint64_t session, uint64_t seq, uint16_t op,
                          const void *request);

/** Ask the machine; both must say the same. */
struct answer rig_read(struct rig *r, uint16_t op, const void *request);

/** Let time pass: one entry without ops. */
void rig_step(struct rig *r, uint64_t ms);

/** Let time pass: an entry without ops, and more until nothing is due. */
void rig_pass(struct rig *r, uint64_t ms);

/** The answer that a parked BEGIN got, or NULL. */
const struct answer *rig_woken(const struct rig *r, uint64_t session, uint64_t seq);

/** Renew, so that the session lives on. */
void rig_keep(struct rig *r, uint64_t session);

/** Do all that is on the tape again in a third process, which makes a checkpoint after entry
 * `checkpoint_at`, is killed after entry `crash_at`, and starts again from its checkpoint: the same
 * digest and the same answers after each entry. */
void rig_replay(struct rig *r, uint32_t checkpoint_at, uint32_t crash_at);

/* ------------------------------------------------------------------ requests */

/** A BEGIN of `key`: lease 10 s, retention 60 s, takeover auto, no wait. */
struct msg_begin a_begin(const char *key);

/** The fingerprint of a_begin(), and another one. */
struct slice a_fingerprint(void);
struct slice another_fingerprint(void);

struct answer rig_begin(struct rig *r, uint64_t session, const char *key);
struct answer rig_begin_waiting(struct rig *r, uint64_t session, const char *key, uint64_t wait_ms);
struct answer rig_extend(struct rig *r, uint64_t session, const char *key, uint64_t token,
                         uint64_t lease_ms);
struct answer rig_checkpoint(struct rig *r, uint64_t session, const char *key, uint64_t token,
                             uint64_t number, uint64_t external);
struct answer rig_complete(struct rig *r, uint64_t session, const char *key, uint64_t token,
                           uint64_t outcome, const char *body);
struct answer rig_resolve(struct rig *r, uint64_t session, const char *key, uint64_t token,
                          uint64_t outcome, const char *body);
/** REOPEN of an attempt that was seen to have this outcome. */
struct answer rig_reopen(struct rig *r, uint64_t session, const char *key, uint64_t token,
                         uint64_t outcome);
/** ERASE, by "eve" for "her request of today". */
struct answer rig_erase(struct rig *r, uint64_t session, const char *key);
struct answer rig_abandon(struct rig *r, uint64_t session, uint64_t token);
struct answer rig_get(struct rig *r, const char *key);

/** The state that RECORD_GET shows; RECORD_ABSENT if there is none. */
uint64_t rig_state(struct rig *r, const char *key);

/** BEGIN that must be STARTED; its token. */
uint64_t rig_started(struct rig *r, uint64_t session, const struct msg_begin *begin);

/** A slice is this text. */
bool is_text(struct slice bytes, const char *text);

#endif
