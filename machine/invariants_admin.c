/* Invariants of what administrators keep: settings, what was done, frozen prefixes, grants that
 * were forced or are asked back. */
#include <inttypes.h>

#include "machine/acts.h"
#include "machine/audit.h"
#include "machine/freeze.h"
#include "machine/grants.h"
#include "machine/lock.h"
#include "machine/settings.h"

/* What apply reads is what is stored. */
static int check_setting(struct audit *a, enum setting setting)
{
    const struct setting_info *info = setting_find(setting);
    const struct row_setting *known = &a->m->settings[setting];
    HF_ASSERT(info->min <= info->initial && info->initial <= info->max);
    struct row_setting row = {.value = info->initial, .lowest = info->initial};
    struct row_key key = row_key_name(slice_of(info->name));
    int rv = state_get(a->m, TABLE_SETTINGS, row_key_slice(&key), &row_setting_type, &row);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    if (row.value != known->value || row.lowest != known->lowest || row.changes != known->changes)
        return audit_fail(a, "setting %s is stored as %" PRIu64 ", and taken for %" PRIu64,
                          info->name, row.value, known->value);
    if (row.lowest > row.value || row.lowest > info->initial || (rv == HF_OK && row.changes == 0))
        return audit_fail(a, "setting %s contradicts itself", info->name);
    if (row.value < info->min || row.value > info->max)
        return audit_fail(a, "setting %s is out of its range: %" PRIu64, info->name, row.value);
    return HF_OK;
}

/* The last ones are there, without a gap. */
static int check_acts(struct audit *a)
{
    uint64_t last = a->m->meta.act_counter;
    uint64_t kept = last < ACTS_KEPT_MAX ? last : ACTS_KEPT_MAX;
    struct row_key first = row_key_u64(last - kept + 1);
    if (store_count(a->m->store, TABLE_ACTS) != kept)
        return audit_fail(a, "of %" PRIu64 " acts other than the last %" PRIu64 " are kept", last,
                          kept);
    if (kept == 0) return HF_OK;
    int rv = audit_has(a, TABLE_ACTS, row_key_slice(&first), "the oldest act that is kept");
    struct row_key newest = row_key_u64(last);
    return rv == HF_OK ? audit_has(a, TABLE_ACTS, row_key_slice(&newest), "the last act") : rv;
}

/* Nothing was granted, and no attempt begun, under a prefix since it was frozen. */
static int check_token(struct audit *a, struct slice name, uint64_t token)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, a->m, TABLE_FROZEN, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_frozen row;
        struct slice prefix = slice_make(walk.key.data + 1, walk.key.size - 1);
        if (!slice_starts(name, prefix)) continue;
        rv = state_decode(a->m, &row_frozen_type, walk.value, &row);
        if (rv == HF_OK && token > row.last_token)
            rv = audit_fail(a, "%.*s was frozen, and token %" PRIu64 " came since",
                            AUDIT_TEXT(name), token);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int look_at_grant(struct audit *a, struct slice key, struct slice value)
{
    struct row_grant grant;
    int rv = state_decode(a->m, &row_grant_type, value, &grant);
    for (uint32_t i = 0; rv == HF_OK && i < grant.names.count; i++)
        rv = check_token(a, grant.names.items[i], row_key_last(key));
    return rv;
}

static int look_at_attempt(struct audit *a, struct slice key, struct slice value)
{
    return check_token(a, value, row_key_last(key));
}

static int check_frozen(struct audit *a)
{
    uint64_t count = store_count(a->m->store, TABLE_FROZEN);
    if (count > FROZEN_MAX) return audit_fail(a, "%" PRIu64 " prefixes are frozen", count);
    if (count == 0) return HF_OK;
    int rv = audit_rows(a, TABLE_GRANTS, NULL, look_at_grant);
    return rv == HF_OK ? audit_rows(a, TABLE_ATTEMPTS, NULL, look_at_attempt) : rv;
}

/* A forced grant whose units stay taken: its session lives and has not acknowledged the loss. */
static int look_at_forced(struct audit *a, struct slice key, struct slice value)
{
    struct row_forced row;
    int rv = state_decode(a->m, &row_forced_type, value, &row);
    if (rv == HF_OK) rv = audit_has(a, TABLE_LOSSES, key, "the loss of a forced grant");
    if (rv == HF_OK) rv = audit_has_deadline(a, row.until_ms, DEADLINE_FORCED, key);
    for (uint32_t i = 0; rv == HF_OK && i < row.names.count; i++) {
        struct row_lock lock;
        rv = lock_get(a->m, row.names.items[i], &lock);
        if (rv == HF_OK && (lock.units_forced < row.units || lock.mode_forced != row.mode ||
                            lock.forced_ms < row.until_ms))
            rv = audit_fail(a, "%.*s does not know of a grant that was forced",
                            AUDIT_TEXT(row.names.items[i]));
        a->units_forced += row.units;
    }
    return rv;
}

static int look_at_lock(struct audit *a, struct slice key, struct slice value)
{
    struct row_lock lock;
    int rv = state_decode(a->m, &row_lock_type, value, &lock);
    if (rv != HF_OK) return rv;
    if (lock.units_forced > 0 && lock.mode_forced == MODE_EXCLUSIVE && lock.holder_count > 0)
        return audit_fail(a, "%.*s is held, and its forced holder may not know", AUDIT_TEXT(key));
    a->units_forced -= lock.units_forced;
    return HF_OK;
}

static int check_forced(struct audit *a)
{
    a->units_forced = 0;
    int rv = audit_rows(a, TABLE_FORCED, NULL, look_at_forced);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_LOCKS, NULL, look_at_lock);
    if (rv == HF_OK && a->units_forced != 0)
        rv = audit_fail(a, "locks and forced grants do not count the same units");
    return rv;
}

/* A grant that is asked back is there, and will be looked at when its grace ends. */
static int look_at_revoke(struct audit *a, struct slice key, struct slice value)
{
    struct row_revoke row;
    struct row_grant grant;
    uint64_t token = row_key_last(key);
    int rv = state_decode(a->m, &row_revoke_type, value, &row);
    if (rv == HF_OK) rv = grant_get(a->m, token, &grant);
    if (rv == HF_ENOTFOUND ||
        (rv == HF_OK && (grant.session != get_u64(key.data) || !grant_has_name(&grant, row.name))))
        return audit_fail(a, "token %" PRIu64 " is asked back, and is no such grant", token);
    if (rv != HF_OK) return rv;
    if (row.overdue == 0) return audit_has_deadline(a, row.until_ms, DEADLINE_REVOKE, key);
    if (row.then != REVOKE_THEN_ALARM || row.until_ms > state_now(a->m))
        return audit_fail(a, "token %" PRIu64 " is overdue before its time", token);
    return HF_OK;
}

int audit_admin(struct audit *a)
{
    int rv = check_acts(a);
    if (rv == HF_OK) rv = check_frozen(a);
    if (rv == HF_OK) rv = check_forced(a);
    if (rv == HF_OK) rv = audit_rows(a, TABLE_REVOKES, NULL, look_at_revoke);
    for (unsigned i = 0; rv == HF_OK && i < SETTING_COUNT; i++)
        rv = check_setting(a, (enum setting)i);
    return rv;
}
