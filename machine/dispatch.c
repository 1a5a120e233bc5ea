/* The tables themselves. The door refuses what is no op of protocol/ops.h; each that is one must
 * be here, as an entry that nobody can apply stops every server (a test holds one list against the
 * other). */
#include "machine/dispatch.h"

#include "machine/acts.h"
#include "machine/branch.h"
#include "machine/events.h"
#include "machine/force.h"
#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/locks.h"
#include "machine/members.h"
#include "machine/reads.h"
#include "machine/record.h"
#include "machine/replies.h"
#include "machine/revoke.h"
#include "machine/serve.h"
#include "machine/sessions.h"
#include "machine/timer.h"
#include "machine/txn.h"

static const struct op_owner op_owners[OP_CODE_MAX + 1] = {
    [OP_CODE_OPEN] = {.apply = session_open},
    [OP_CODE_KEEP] = {.apply = session_keep},
    [OP_CODE_RESUME] = {.apply = session_resume},
    [OP_CODE_CLOSE] = {.apply = session_close},
    [OP_CODE_CANCEL] = {.apply = reply_cancel},
    [OP_CODE_SESSION_LIST] = {.read = read_session_list},
    [OP_CODE_ACQUIRE] = {.apply = lock_acquire,
                         .repeat = lock_grant_repeat,
                         .wait_over = lock_wait_over,
                         .left = lock_waiter_left},
    [OP_CODE_RELEASE] = {.apply = lock_release},
    [OP_CODE_ABANDON] = {.apply = lock_abandon},
    [OP_CODE_CHECK] = {.read = read_check},
    [OP_CODE_INFO] = {.read = read_info},
    [OP_CODE_LIST] = {.read = read_list},
    [OP_CODE_DOWNGRADE] = {.apply = lock_downgrade, .repeat = lock_grant_repeat},
    [OP_CODE_UPGRADE] = {.apply = lock_upgrade, .repeat = lock_grant_repeat},
    [OP_CODE_BEGIN] = {.apply = record_begin,
                       .repeat = record_begin_repeat,
                       .wait_over = record_wait_over,
                       .left = record_left},
    [OP_CODE_EXTEND] = {.apply = record_extend},
    [OP_CODE_CHECKPOINT] = {.apply = record_checkpoint},
    [OP_CODE_COMPLETE] = {.apply = record_complete},
    [OP_CODE_RESOLVE] = {.apply = record_resolve},
    [OP_CODE_REOPEN] = {.apply = record_reopen},
    [OP_CODE_ERASE] = {.apply = record_erase},
    [OP_CODE_RECORD_GET] = {.read = record_read},
    [OP_CODE_RECORD_LIST] = {.read = record_list},
    [OP_CODE_RECORD_EXPORT] = {.read = record_export},
    [OP_CODE_TIMER_SET] = {.apply = timer_set},
    [OP_CODE_TIMER_CANCEL] = {.apply = timer_cancel},
    [OP_CODE_TIMER_POLL] = {.apply = timer_poll, .repeat = timer_poll_repeat},
    [OP_CODE_TIMER_ACK] = {.apply = timer_ack},
    [OP_CODE_TIMER_NACK] = {.apply = timer_nack},
    [OP_CODE_TIMER_LIST] = {.read = timer_list},
    [OP_CODE_TIMER_REQUEUE] = {.apply = timer_requeue},
    [OP_CODE_BRANCH] = {.apply = branch_ask, .repeat = branch_repeat},
    [OP_CODE_BRANCH_DONE] = {.apply = branch_done},
    [OP_CODE_BRANCH_GET] = {.read = branch_read},
    [OP_CODE_BRANCH_LIST] = {.read = branch_list},
    [OP_CODE_EVENTS_SWITCH] = {.apply = events_switch},
    [OP_CODE_WATCH] = {.read = events_watch},
    [OP_CODE_EVENT_PREFIXES] = {.read = events_prefixes},
    [OP_CODE_TXN] = {.apply = txn_apply, .repeat = txn_repeat},
    [OP_CODE_MEMBER] = {.apply = member_record},
    [OP_CODE_CONFIG_SET] = {.apply = setting_config_set},
    [OP_CODE_CONFIG_GET] = {.read = setting_config_get},
    [OP_CODE_AUDIT] = {.read = read_acts},
    [OP_CODE_FREEZE] = {.apply = freeze_apply},
    [OP_CODE_THAW] = {.apply = thaw_apply},
    [OP_CODE_FROZEN_LIST] = {.read = read_frozen},
    [OP_CODE_FORCE] = {.apply = force_apply},
    [OP_CODE_REVOKE] = {.apply = revoke_apply},
};

static const struct deadline_owner deadline_owners[DEADLINE_KIND_MAX + 1] = {
    [DEADLINE_SESSION] = {SWEEP_LEAVE, session_due},
    [DEADLINE_WAIT] = {SWEEP_LEAVE, parked_due},
    [DEADLINE_HOLD] = {SWEEP_GRANTS, grant_hold_due},
    [DEADLINE_ATTEMPT] = {SWEEP_ATTEMPTS, record_attempt_due},
    [DEADLINE_RETENTION] = {SWEEP_REST, record_retention_due},
    [DEADLINE_TOMBSTONE] = {SWEEP_REST, record_tombstone_due},
    [DEADLINE_LOCK] = {SWEEP_REST, lock_due},
    [DEADLINE_FORGET] = {SWEEP_REST, session_forget_due},
    [DEADLINE_SERVE] = {SWEEP_REST, serve_due},
    [DEADLINE_THAW] = {SWEEP_REST, thaw_due},
    [DEADLINE_FORCED] = {SWEEP_REST, force_due},
    [DEADLINE_REVOKE] = {SWEEP_GRANTS, revoke_due},
    [DEADLINE_TIMER] = {SWEEP_REST, timer_due},
    [DEADLINE_TIMER_TOMBSTONE] = {SWEEP_REST, timer_tombstone_due},
    [DEADLINE_PHASE] = {SWEEP_ATTEMPTS, branch_phase_due},
    [DEADLINE_BRANCH] = {SWEEP_REST, branch_retention_due},
    [DEADLINE_EVENTS] = {SWEEP_REST, events_trim_due},
};

const struct op_owner *op_owner_find(uint16_t op)
{
    if (op > OP_CODE_MAX) return NULL;
    const struct op_owner *owner = &op_owners[op];
    return owner->apply != NULL || owner->read != NULL ? owner : NULL;
}

const struct deadline_owner *deadline_owner_find(enum deadline_kind kind)
{
    HF_ASSERT(kind >= DEADLINE_SESSION && kind <= DEADLINE_KIND_MAX);
    HF_ASSERT(deadline_owners[kind].due != NULL);
    return &deadline_owners[kind];
}

int dispatch_session_ended(struct machine *m, uint64_t session)
{
    return record_session_ended(m, session);
}

int dispatch_serve(struct machine *m, enum machine_table table, struct slice name)
{
    HF_ASSERT(table == TABLE_LOCKS || table == TABLE_RECORDS);
    return table == TABLE_LOCKS ? lock_serve(m, name) : record_serve(m, name);
}

int dispatch_abandon_attempt(struct machine *m, uint64_t session, uint64_t token)
{
    HF_ASSERT(session != 0);
    HF_ASSERT(!state_token_is_future(m, token));
    int rv = record_abandon(m, session, token);
    return rv == HF_ENOTFOUND ? branch_abandon(m, session, token) : rv;
}

/* ------------------------------------------------------------------ answers */

int reply_set(struct reply_out *out, uint16_t op, int status, const void *detail)
{
    const struct codec_type *type = op_reply_type(op, status);
    struct msg_empty empty = {0};
    HF_ASSERT((detail == NULL) == (type == &msg_empty_type));
    HF_ASSERT(status_kind(status) != STATUS_FAULT);
    out->status = status;
    buffer_clear(out->body);
    return codec_encode(type, detail != NULL ? detail : &empty, out->body);
}

int reply_complain(struct reply_out *out, uint16_t op, const char *sentence)
{
    struct msg_complaint complaint = {.sentence = slice_of(sentence)};
    HF_ASSERT(complaint.sentence.size <= NAME_BYTES_MAX);
    return reply_set(out, op, HF_EBADREQUEST, &complaint);
}
