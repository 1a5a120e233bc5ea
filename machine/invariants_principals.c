/* Invariants of principals: what each has is counted anew, from sessions, records, tombstones
 * and timers, and must be what its row says; a row that counts nothing is not there. Failure mode:
 * as the other invariants, and too little memory for a number or two of each. */
#include <inttypes.h>
#include <stdlib.h>

#include "machine/audit.h"
#include "machine/branch.h"
#include "machine/principals.h"
#include "machine/record.h"

/* One principal, counted. */
struct counted {
    uint64_t id;              /* it */
    struct row_principal row; /* only the numbers */
};

struct counting {
    struct audit *a;       /* borrowed */
    struct counted *items; /* rising by id */
    size_t count;          /* of them */
};

static int compare(const void *a, const void *b)
{
    uint64_t one = ((const struct counted *)a)->id;
    uint64_t other = ((const struct counted *)b)->id;
    return (one > other) - (one < other);
}

static int count(const struct counting *c, uint64_t id, enum quota which, uint64_t number)
{
    const struct counted key = {.id = id};
    struct counted *found = bsearch(&key, c->items, c->count, sizeof key, compare);
    if (found == NULL) return audit_fail(c->a, "principal %" PRIx64 " has no row", id);
    *principal_count(&found->row, which) += number;
    return HF_OK;
}

/* All that have a row; each is whom its number tells. */
static int list(struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_PRINCIPALS, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct row_principal row;
        struct counted *item = &c->items[c->count];
        rv = state_decode(c->a->m, &row_principal_type, walk.value, &row);
        if (rv != HF_OK) break;
        *item = (struct counted){.id = row_key_last(walk.key)};
        c->count += 1;
        if (principal_id(row.name, row.host) == item->id) continue;
        rv = audit_fail(c->a, "principal %" PRIx64 " has another one's row", item->id);
        break;
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int count_sessions(const struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_SESSIONS, &all, NULL);
    while (rv == HF_OK) {
        struct row_session s;
        rv = state_decode(c->a->m, &row_session_type, walk.value, &s);
        if (rv == HF_OK && s.ended == 0) {
            rv = count(c, s.principal, QUOTA_SESSIONS, 1);
            if (rv == HF_OK)
                rv = count(c, s.principal, QUOTA_NAMES, s.grant_count + s.waiter_count);
        }
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int look_at_record(const struct counting *c, struct slice key, const struct row_record *row)
{
    struct slice data;
    int rv = store_get(c->a->m->store, TABLE_CHECKPOINTS, key, &data);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    if (row->checkpoint_bytes != (rv == HF_OK ? data.size : 0))
        return audit_fail(c->a, "record '%.*s' mistakes its checkpoint's size", AUDIT_TEXT(key));
    bool open = record_is_open(row);
    if (row->counted_bytes != record_bytes_of(key, row) || (row->counted_open == 1) != open)
        return audit_fail(c->a, "record '%.*s' counts as what it was", AUDIT_TEXT(key));
    rv = count(c, row->principal, QUOTA_BYTES, row->counted_bytes);
    return rv == HF_OK ? count(c, row->principal, QUOTA_RECORDS, open ? 1 : 0) : rv;
}

static int count_records(const struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_RECORDS, &all, NULL);
    while (rv == HF_OK) {
        struct row_record row;
        rv = state_decode(c->a->m, &row_record_type, walk.value, &row);
        if (rv == HF_OK) rv = look_at_record(c, walk.key, &row);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int count_branches(const struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_BRANCHES, &all, NULL);
    while (rv == HF_OK) {
        struct row_branch row;
        rv = state_decode(c->a->m, &row_branch_type, walk.value, &row);
        if (rv != HF_OK) break;
        bool open = !branch_is_finished(&row);
        if (row.counted_bytes != branch_bytes_of(walk.key, &row) || (row.counted_open == 1) != open)
            rv = audit_fail(c->a, "branch '%.*s' counts as what it was", AUDIT_TEXT(walk.key));
        if (rv == HF_OK) rv = count(c, row.principal, QUOTA_BYTES, row.counted_bytes);
        if (rv == HF_OK) rv = count(c, row.principal, QUOTA_RECORDS, open ? 1 : 0);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int count_tombstones(const struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_TOMBSTONES, &all, NULL);
    while (rv == HF_OK) {
        struct row_tombstone row;
        rv = state_decode(c->a->m, &row_tombstone_type, walk.value, &row);
        if (rv == HF_OK) rv = count(c, row.principal, QUOTA_BYTES, tombstone_bytes_of(walk.key));
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int count_timers(const struct counting *c)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    int rv = walk_first(&walk, c->a->m, TABLE_TIMERS, &all, NULL);
    while (rv == HF_OK) {
        struct row_timer row;
        rv = state_decode(c->a->m, &row_timer_type, walk.value, &row);
        if (rv == HF_OK) rv = count(c, row.principal, QUOTA_TIMERS, 1);
        if (rv == HF_OK) rv = walk_next(&walk);
    }
    walk_close(&walk);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int compare_with_row(const struct counting *c, struct counted *counted)
{
    static const enum quota counts[] = {QUOTA_SESSIONS, QUOTA_NAMES, QUOTA_RECORDS, QUOTA_BYTES,
                                        QUOTA_TIMERS};
    struct row_key key = row_key_u64(counted->id);
    struct row_principal row;
    uint64_t all = 0;
    int rv = state_get(c->a->m, TABLE_PRINCIPALS, row_key_slice(&key), &row_principal_type, &row);
    if (rv != HF_OK) return rv;
    for (size_t i = 0; i < HF_ARRAY_COUNT(counts); i++) {
        uint64_t told = *principal_count(&row, counts[i]);
        uint64_t found = *principal_count(&counted->row, counts[i]);
        all += found;
        if (told != found)
            return audit_fail(
                c->a,
                "principal '%.*s' at '%.*s' has %" PRIu64 " of quota %u, its row says %" PRIu64,
                AUDIT_TEXT(row.name), AUDIT_TEXT(row.host), found, (unsigned)counts[i], told);
    }
    if (all > 0) return HF_OK;
    return audit_fail(c->a, "principal '%.*s' has nothing and a row", AUDIT_TEXT(row.name));
}

int audit_principals(struct audit *a)
{
    struct machine *m = a->m;
    if (m->principal_id != 0) return audit_fail(a, "a principal's row was not written");
    size_t count_max = store_count(m->store, TABLE_PRINCIPALS);
    struct counting c = {.a = a};
    c.items = malloc((count_max + 1) * sizeof *c.items);
    if (c.items == NULL) return HF_ENOMEM;
    int rv = list(&c);
    if (rv == HF_OK) rv = count_sessions(&c);
    if (rv == HF_OK) rv = count_records(&c);
    if (rv == HF_OK) rv = count_tombstones(&c);
    if (rv == HF_OK) rv = count_timers(&c);
    if (rv == HF_OK) rv = count_branches(&c);
    for (size_t i = 0; rv == HF_OK && i < c.count; i++) {
        size_t mark = state_mark(m);
        rv = compare_with_row(&c, &c.items[i]);
        if (rv == HF_OK) state_reset(m, mark);
    }
    free(c.items);
    return rv;
}
