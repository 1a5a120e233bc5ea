/* The deterministic state machine: sessions, exactly-once, locks, records, time.
 *
 * All that it knows is in its store and in the entry it is given: no clock, no random number, no
 * order of memory. The same entries give the same rows and the same replies, byte for byte, on
 * every server. Happy path: machine_apply() takes an entry, moves cluster time, sweeps what is
 * due, applies each op, and hands replies to the sink, by the op's position or, for requests that
 * were parked, by (session, seq).
 *
 * Failure modes: an entry that does not read back, a row that does not, a store's fault. All are
 * returned and must end the process: the other servers carry on. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"
#include "machine/settings.h"
#include "protocol/entry.h"
#include "protocol/messages.h"
#include "storage/store.h"

struct machine;

/** An answer: what goes into a reply frame. */
struct machine_reply {
    int status;    /**< HF_OK or an answer of base/status.def */
    uint8_t flags; /**< enum reply_flags, or-ed */
    struct slice
        body; /**< encoded op_reply_type(op, status); borrowed until the callback returns */
};

/** Where replies go. On a follower, and in replay, all may be NULL: nobody waits there. */
struct machine_sink {
    /** The op at `position` (0-based, in the entry) is answered. */
    void (*reply_cb)(uint32_t position, const struct machine_reply *reply, void *data);
    /** The op at `position` waits: woken_cb will bring its answer under (session, seq). */
    void (*parked_cb)(uint32_t position, void *data);
    /** A parked request is answered: by this entry's sweep, or by one of its ops. */
    void (*woken_cb)(uint64_t session, uint64_t seq, const struct machine_reply *reply, void *data);
    /** A grant of this lock was asked back (REVOKE, then alarm), its grace is over, and it is held
     * still. \param name  borrowed until the callback returns. */
    void (*overdue_cb)(struct slice name, void *data);
    /** A timer is ready in the queue of this group. \param group  borrowed likewise. */
    void (*ready_cb)(struct slice group, void *data);
    /** A session has ended, by CLOSE or with its lease. */
    void (*ended_cb)(uint64_t session, void *data);
    /** An event was told, and who watches may look; what it tells of may still be taken back.
     * \param name  of what it happened to; borrowed likewise. */
    void (*event_cb)(enum event_type kind, struct slice name, void *data);
    void *data; /**< handed to all */
};

/** Build a machine over an open store, empty or at some applied index.
 * \param store    borrowed until machine_close().
 * \param machine  Out; owned, machine_close() it.
 * \retval HF_EVERSION a newer program wrote this store; \retval HF_ECORRUPT; faults. */
HF_MUST_USE
int machine_open(struct store *store, struct machine **machine);

/** Free; the store stays open. NULL is accepted. */
void machine_close(struct machine *m);

/** Apply one entry. \param entry borrowed. \param sink borrowed, may be NULL.
 * \retval HF_EVERSION the entry's version is not known: upgrade this server before it goes on.
 * \retval HF_ECORRUPT the entry or a row does not read back; \retval others: the store's faults. */
HF_MUST_USE
int machine_apply(struct machine *m, struct slice entry, const struct machine_sink *sink);

/** Answer a read (an op with OP_READ) from the state as it is applied, at its cluster time.
 * \param elapsed_ms  since that time passed on the caller's clock: subtracted from what is shown
 *                    as left, which is a hint.
 * \param request     the decoded request struct; op_check() has passed.
 * \param body        emptied, then the encoded answer; its maximum bounds a page.
 * \param status      Out: HF_OK or an answer. \retval faults only. */
HF_MUST_USE
int machine_read(struct machine *m, uint16_t op, const void *request, uint64_t elapsed_ms,
                 struct buffer *body, int *status);

/** What a WATCH came to. */
struct watch_found {
    uint64_t next;         /**< the number to ask from next */
    uint32_t looked_count; /**< rows that were looked at */
    bool anything; /**< to tell at once: events, a gap, where now is, or that there is more to
                        look at. Else it may wait, and be asked again from `next` */
};

/** Answer a WATCH from the state as it is applied. As machine_read() with OP_CODE_WATCH. */
HF_MUST_USE
int machine_watch(struct machine *m, const struct msg_watch *watch, struct buffer *body,
                  int *status, struct watch_found *found);

/** The number of the next event; see WATCH. */
uint64_t machine_event_next(const struct machine *m);

/** Cluster time of the last applied entry, milliseconds. */
uint64_t machine_time_ms(const struct machine *m);

/** The greatest wall clock that an entry brought, milliseconds since 1970. */
uint64_t machine_wall_ms(const struct machine *m);

/** When the next deadline row is due, in cluster time: a lower bound of the next expiry.
 * UINT64_MAX: no deadline is stored, and a leader need not wake for one. */
uint64_t machine_next_deadline_ms(const struct machine *m);

/** The session's state for the door: HF_OK alive, HF_ESESSION a tombstone, HF_ESESSIONUNKNOWN.
 * Also the seqs answered and not acknowledged, and their bytes, for TOO_MANY_UNACKED. */
HF_MUST_USE
int machine_session_peek(struct machine *m, uint64_t session, uint32_t *unacked_count,
                         uint32_t *unacked_bytes);

/** Whether a numbered request was applied before: answered, acknowledged or parked. The door never
 * refuses such a one: its refusal would say that it was not. \retval HF_OK it was.
 * \retval HF_ENOTFOUND it is new, or the session is not known. \retval faults. */
HF_MUST_USE
int machine_request_peek(struct machine *m, uint64_t session, uint64_t seq);

/** Whether a timer of this group is ready to be delivered. \retval HF_OK one is.
 * \retval HF_ENOTFOUND none is. \retval faults only. */
HF_MUST_USE
int machine_timer_ready(struct machine *m, struct slice group);

/** The incarnation that is recorded for a server. \param incarnation Out: 0 = none. Faults only. */
HF_MUST_USE
int machine_member(struct machine *m, uint64_t id, uint64_t *incarnation);

/** A replicated setting. \param unset  what to answer if nobody has set it. */
uint64_t machine_setting(const struct machine *m, enum setting setting, uint64_t unset);

/** Numbers for STATUS and metrics. */
struct machine_counts {
    uint64_t session_count;          /**< alive */
    uint64_t lock_count;             /**< rows: held, delayed, waited for or lately lost */
    uint64_t waiter_count;           /**< parked ACQUIREs and BEGINs */
    uint64_t record_count;           /**< without tombstones */
    uint64_t deadlock_unknown_count; /**< searches for a deadlock that were given up, since the
                                          machine was opened: this server's own number */
};
void machine_count(const struct machine *m, struct machine_counts *out);

#endif
