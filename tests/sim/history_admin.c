/* What administrators do, kept from the log alone beside history_locks.c and history_records.c:
 *
 *   - FORCE and REVOKE are about the current token of that very lock, and else STALE_TOKEN
 *   - a forced grant is over in all of its names, and its units stay taken until its session has
 *     acknowledged the loss (KEEP, ABANDON, RELEASE of what was acquired once), has ended, or its
 * lease, as it stood, is over; FORCE now = 1 waits for nothing
 *   - KEEP and RESUME tell a session what is asked back of it, with what is left of the grace, and
 *     what was forced, and nothing else
 *   - at the grace's end the grant is forced, or stays where an alarm was asked for
 *   - nothing begins under a prefix between its FREEZE and its THAW (history_locks.c and
 *     history_records.c ask history_is_frozen())
 *   - CONFIG_SET tells the value before it */
#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

enum { NAME_BYTES = 16 };

const char *history_act_name(enum history_act act)
{
    static const char *const names[HISTORY_ACTS] = {
        "frozen", "thawed", "forced", "forced-now", "known", "asked", "grace-over", "alarm", "set"};
    HF_ASSERT(act < HISTORY_ACTS);
    return names[act];
}

static uint64_t now_ms(const struct history *h)
{
    return machine_time_ms(h->machine);
}

static struct lock_rules *rules_of(struct history *h, uint32_t lock)
{
    HF_ASSERT(lock < HF_ARRAY_COUNT(h->locks));
    return &h->locks[lock].rules;
}

/* What of this name has this token, or NULL: it is not held under it. */
static const struct lock_grant *find_held(struct history *h, struct slice name, uint64_t token)
{
    const struct lock_rules *l = rules_of(h, history_thing(name));
    size_t at = lock_rules_find(l, token);
    return at < l->grant_count ? &l->grants[at] : NULL;
}

/* ------------------------------------------------------------------ grants that are taken away */

/* In one of its locks. \param waits  its holder shall know before the lock goes on. */
static void force_in(struct history *h, uint32_t lock, size_t at, bool waits, uint64_t at_ms)
{
    struct lock_rules *l = rules_of(h, lock);
    const struct lock_grant g = l->grants[at];
    const struct history_session *s = history_session(h, g.ask.session);
    struct history_token *what = history_find_token(h, g.token);
    HF_ASSERT(s != NULL && what != NULL);
    what->forced = waits ? FORCED_WAITS : FORCED_NOW;
    lock_rules_end(h, lock, at, EVENT_FORCED, at_ms);
    if (!waits || s->until_ms <= at_ms) return;
    l->forced = lock_rules_room(l->forced, l->forced_count, &l->forced_places, sizeof *l->forced);
    l->forced[l->forced_count++] = (struct lock_forced){.session = g.ask.session,
                                                        .token = g.token,
                                                        .mode = g.ask.mode,
                                                        .units = g.ask.permits,
                                                        .count = g.count,
                                                        .until_ms = s->until_ms};
}

static void forced(struct history *h, struct slice request, int status)
{
    struct msg_force force;
    history_decode(h, &msg_force_type, request, &force);
    const struct lock_grant *g = find_held(h, force.name, force.fencing_token);
    if (status != HF_OK && status != HF_ESTALE) return; /* its session */
    if ((status == HF_OK) != (g != NULL))
        sim_fail("lock-%u: FORCE of token %" PRIu64 " is answered %s, and it is %s",
                 history_thing(force.name), force.fencing_token, status_name(status),
                 g != NULL ? "held" : "not held");
    if (g == NULL) return;
    const struct lock_names names = g->ask.names;
    for (uint32_t i = 0; i < names.count; i++) {
        size_t at = lock_rules_find(rules_of(h, names.items[i]), force.fencing_token);
        force_in(h, names.items[i], at, force.now == 0, now_ms(h));
    }
    history_events_owe_act(h, OP_CODE_FORCE);
    h->act_counts[force.now == 0 ? ACT_FORCED : ACT_FORCED_NOW]++;
}

/* Its holder knows that the token is over; of one that was acquired more often than `count_most` it
 * may not. */
static void acknowledge(struct history *h, uint64_t session, uint64_t token, uint64_t count_most)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        struct lock_rules *l = rules_of(h, lock);
        for (size_t i = l->forced_count; i > 0; i--) {
            const struct lock_forced *f = &l->forced[i - 1];
            if (f->session != session || f->token != token || f->count > count_most) continue;
            l->forced[i - 1] = l->forced[--l->forced_count];
            h->act_counts[ACT_KNOWN]++;
        }
    }
}

/* ------------------------------------------------------------------ grants that are asked back */

static void revoked(struct history *h, struct slice request, int status)
{
    struct msg_revoke revoke;
    history_decode(h, &msg_revoke_type, request, &revoke);
    const struct lock_grant *g = find_held(h, revoke.name, revoke.fencing_token);
    if (status != HF_OK && status != HF_ESTALE) return;
    if ((status == HF_OK) != (g != NULL))
        sim_fail("lock-%u: REVOKE of token %" PRIu64 " is answered %s, and it is %s",
                 history_thing(revoke.name), revoke.fencing_token, status_name(status),
                 g != NULL ? "held" : "not held");
    if (g == NULL) return;
    const struct lock_names names = g->ask.names;
    for (uint32_t i = 0; i < names.count; i++) {
        struct lock_rules *l = rules_of(h, names.items[i]);
        struct lock_grant *part = &l->grants[lock_rules_find(l, revoke.fencing_token)];
        part->grace_ms = now_ms(h) + revoke.grace_ms;
        part->alarm = revoke.then == REVOKE_THEN_ALARM;
    }
    history_events_owe_act(h, OP_CODE_REVOKE);
    h->act_counts[ACT_ASKED]++;
}

static void sweep_grants(struct history *h, uint32_t lock, uint64_t at_ms)
{
    struct lock_rules *l = rules_of(h, lock);
    for (size_t i = l->grant_count; i > 0; i--) {
        const struct lock_grant *g = &l->grants[i - 1];
        bool first = g->ask.names.items[0] == lock; /* of its names: counted once */
        if (g->grace_ms == 0 || g->grace_ms > at_ms) continue;
        if (g->alarm) continue;
        if (first) h->act_counts[ACT_GRACE_OVER]++;
        force_in(h, lock, i - 1, true, at_ms);
    }
}

void history_admin_alarm(struct history *h, uint64_t at_ms)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = rules_of(h, lock);
        for (size_t i = 0; i < l->grant_count; i++) {
            const struct lock_grant *g = &l->grants[i];
            bool due = g->alarm && g->grace_ms > h->looked_ms && g->grace_ms <= at_ms;
            if (!due || g->ask.names.items[0] != lock) continue;
            h->act_counts[ACT_ALARM]++;
            history_events_owe_act(h, OP_CODE_REVOKE);
        }
    }
}

void history_admin_sweep(struct history *h, uint64_t at_ms)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        struct lock_rules *l = rules_of(h, lock);
        for (size_t i = l->forced_count; i > 0; i--) {
            if (l->forced[i - 1].until_ms <= at_ms) l->forced[i - 1] = l->forced[--l->forced_count];
        }
        sweep_grants(h, lock, at_ms);
    }
    h->looked_ms = at_ms;
}

/* ------------------------------------------------------------------ what a session is told */

static const struct left_item *find_asked(const struct msg_keep_reply *kept, uint64_t token)
{
    const struct left_item *asked = kept->asked.items;
    for (uint32_t i = 0; i < kept->asked.count; i++) {
        if (asked[i].fencing_token == token) return &asked[i];
    }
    return NULL;
}

static bool is_told_lost(const struct msg_keep_reply *kept, uint64_t token)
{
    const struct lost_item *lost = kept->lost.items;
    for (uint32_t i = 0; i < kept->lost.count; i++) {
        if (lost[i].fencing_token == token && lost[i].reason == END_FORCED) return true;
    }
    return kept->more != 0;
}

/* \return grants of this lock that the session is to be told of as asked back. */
static uint32_t look_at_asked(const struct history *h, uint32_t lock, uint64_t session,
                              const struct msg_keep_reply *kept)
{
    const struct lock_rules *l = &h->locks[lock].rules;
    uint32_t count = 0;
    for (size_t i = 0; i < l->grant_count; i++) {
        const struct lock_grant *g = &l->grants[i];
        if (g->ask.session != session || g->grace_ms == 0 || g->ask.names.items[0] != lock)
            continue;
        const struct left_item *asked = find_asked(kept, g->token);
        uint64_t left_ms = g->grace_ms > now_ms(h) ? g->grace_ms - now_ms(h) : 0;
        if (asked == NULL || asked->left_ms != left_ms)
            sim_fail("lock-%u: token %" PRIu64 " is asked back with %" PRIu64
                     " ms left, and its session is told of %" PRIu64,
                     lock, g->token, left_ms, asked != NULL ? asked->left_ms : 0);
        count++;
    }
    return count;
}

static void kept(struct history *h, uint64_t session, const struct machine_reply *reply)
{
    struct msg_keep_reply told;
    uint32_t asked_count = 0;
    history_decode(h, &msg_keep_reply_type, reply->body, &told);
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        const struct lock_rules *l = &h->locks[lock].rules;
        asked_count += look_at_asked(h, lock, session, &told);
        for (size_t i = 0; i < l->forced_count; i++) {
            if (l->forced[i].session == session && !is_told_lost(&told, l->forced[i].token))
                sim_fail("lock-%u: token %" PRIu64 " was forced, and its session is not told", lock,
                         l->forced[i].token);
        }
    }
    if (asked_count != told.asked.count)
        sim_fail("session %" PRIu64 " is told of %u grants that are asked back, and %u are",
                 session, told.asked.count, asked_count);
}

/* What KEEP, RELEASE or ABANDON say that its session knows. */
static void look_at_acknowledged(struct history *h, const struct history_answer *a,
                                 struct slice request, int status)
{
    struct msg_keep keep;
    struct msg_release release;
    struct msg_abandon abandon;
    bool gone = status == HF_ENOTHELD || status == HF_ESTALE;
    if (a->op == OP_CODE_KEEP && status == HF_OK) {
        history_decode(h, &msg_keep_type, request, &keep);
        for (uint32_t i = 0; i < keep.losses_acked.count; i++)
            acknowledge(h, a->session, keep.losses_acked.items[i], UINT64_MAX);
    } else if (a->op == OP_CODE_RELEASE && gone) {
        history_decode(h, &msg_release_type, request, &release);
        acknowledge(h, a->session, release.fencing_token, 1);
    } else if (a->op == OP_CODE_ABANDON && gone) {
        history_decode(h, &msg_abandon_type, request, &abandon);
        acknowledge(h, a->session, abandon.fencing_token, UINT64_MAX);
    }
}

/* ------------------------------------------------------------------ FREEZE, THAW */

static struct slice prefix_of(const struct history_prefix *p)
{
    return slice_make(p->text, p->bytes);
}

bool history_is_frozen(const struct history *h, struct slice name)
{
    for (uint32_t i = 0; i < h->frozen_count; i++) {
        if (slice_starts(name, prefix_of(&h->frozen[i]))) return true;
    }
    return false;
}

static uint32_t find_prefix(const struct history *h, struct slice prefix)
{
    uint32_t at = 0;
    while (at < h->frozen_count && !slice_equal(prefix_of(&h->frozen[at]), prefix)) at++;
    return at;
}

static void settle_frozen(struct history *h)
{
    for (uint32_t lock = 0; lock < HF_ARRAY_COUNT(h->locks); lock++) {
        char name[NAME_BYTES];
        (void)snprintf(name, sizeof name, "lock-%u", lock);
        rules_of(h, lock)->frozen = history_is_frozen(h, slice_of(name));
    }
}

static void frozen(struct history *h, bool thaws, struct slice request, int status)
{
    struct msg_freeze freeze;
    history_decode(h, &msg_freeze_type, request, &freeze);
    uint32_t at = find_prefix(h, freeze.prefix);
    bool stands = at < h->frozen_count;
    int right = thaws && !stands ? HF_ENOTFOUND : HF_OK;
    if (!thaws && !stands && h->frozen_count == HISTORY_FROZEN_MAX) right = HF_EQUOTA;
    if (status != HF_OK && status != HF_ENOTFOUND && status != HF_EQUOTA) return;
    if (status != right)
        sim_fail("%s of %.*s is answered %s, and %s is right", thaws ? "THAW" : "FREEZE",
                 (int)freeze.prefix.size, (const char *)freeze.prefix.data, status_name(status),
                 status_name(right));
    if (status != HF_OK || stands != thaws) return;
    if (thaws) {
        h->frozen[at] = h->frozen[--h->frozen_count];
    } else {
        struct history_prefix *p = &h->frozen[h->frozen_count++];
        HF_ASSERT(freeze.prefix.size <= sizeof p->text);
        memcpy(p->text, freeze.prefix.data, freeze.prefix.size);
        p->bytes = freeze.prefix.size;
    }
    h->act_counts[thaws ? ACT_THAWED : ACT_FROZEN]++;
    history_events_owe_act(h, thaws ? OP_CODE_THAW : OP_CODE_FREEZE);
    settle_frozen(h);
}

/* ------------------------------------------------------------------ CONFIG_SET */

static void set(struct history *h, struct slice request, const struct machine_reply *reply)
{
    struct msg_config_set set;
    struct msg_config_set_reply answer;
    unsigned at = 0;
    history_decode(h, &msg_config_set_reply_type, reply->body, &answer);
    history_decode(h, &msg_config_set_type, request, &set);
    while (at < SETTING_COUNT && !slice_equal(set.name, slice_of(setting_find(at)->name))) at++;
    if (at == SETTING_COUNT) sim_fail("a setting that is none was set");
    uint64_t count = ++h->set_counts[at];
    if (answer.before != h->settings[at] || answer.changes != count)
        sim_fail("%s was %" PRIu64 " and is set for the %" PRIu64 ". time: told are %" PRIu64
                 " and %" PRIu64,
                 setting_find(at)->name, h->settings[at], count, answer.before, answer.changes);
    h->settings[at] = set.value;
    h->act_counts[ACT_SET]++;
    history_events_owe_act(h, OP_CODE_CONFIG_SET);
}

/* ------------------------------------------------------------------ all */

void history_admin_answered(struct history *h, const struct history_answer *a, struct slice request,
                            const struct machine_reply *reply)
{
    int status = reply->status;
    switch (a->op) {
    case OP_CODE_KEEP:
    case OP_CODE_RELEASE:
    case OP_CODE_ABANDON: look_at_acknowledged(h, a, request, status); break;
    case OP_CODE_FORCE: forced(h, request, status); break;
    case OP_CODE_REVOKE: revoked(h, request, status); break;
    case OP_CODE_FREEZE:
    case OP_CODE_THAW: frozen(h, a->op == OP_CODE_THAW, request, status); break;
    case OP_CODE_CONFIG_SET:
        if (status == HF_OK) set(h, request, reply);
        break;
    default: break;
    }
    bool keeps = a->op == OP_CODE_KEEP || a->op == OP_CODE_RESUME;
    if (keeps && status == HF_OK) kept(h, a->session, reply);
}
