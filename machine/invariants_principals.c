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
    struct audit audit;    /* of the callbacks below */
    struct counted *items; /* rising by id */
    size_t count;          /* of them */
};

static struct counting *counting_of(struct audit *a)
{
    return HF_CONTAINER_OF(a, struct counting, audit);
}

static int compare(const void *a, const void *b)
{
    uint64_t one = ((const struct counted *)a)->id;
    uint64_t other = ((const struct counted *)b)->id;
    return (one > other) - (one < other);
}

static int count(struct audit *a, uint64_t id, enum quota which, uint64_t number)
{
    const struct counting *c = counting_of(a);
    const struct counted key = {.id = id};
    struct counted *found = bsearch(&key, c->items, c->count, sizeof key, compare);
    if (found == NULL) return audit_fail(a, "principal %" PRIx64 " has no row", id);
    *principal_count(&found->row, which) += number;
    return HF_OK;
}

/* Each that has a row is whom its number tells. */
static int list_principal(struct audit *a, struct slice key, struct slice value)
{
    struct counting *c = counting_of(a);
    struct row_principal row;
    int rv = state_decode(a->m, &row_principal_type, value, &row);
    if (rv != HF_OK) return rv;
    uint64_t id = row_key_last(key);
    c->items[c->count++] = (struct counted){.id = id};
    if (principal_id(row.name, row.host) == id) return HF_OK;
    return audit_fail(a, "principal %" PRIx64 " has another one's row", id);
}

static int count_session(struct audit *a, struct slice key, struct slice value)
{
    (void)key;
    struct row_session s;
    int rv = state_decode(a->m, &row_session_type, value, &s);
    if (rv != HF_OK || s.ended != 0) return rv;
    rv = count(a, s.principal, QUOTA_SESSIONS, 1);
    return rv == HF_OK ? count(a, s.principal, QUOTA_NAMES, s.grant_count + s.waiter_count) : rv;
}

/* What counts as a record: it says itself what it counts as, and must say what it is.
 * \param share  as it stands in the row. \param bytes, open  as they are. */
static int count_share(struct audit *a, const char *what, struct slice key,
                       struct principal_share share, uint64_t bytes, bool open)
{
    if (*share.bytes != bytes || (*share.open == 1) != open)
        return audit_fail(a, "%s '%.*s' counts as what it was", what, AUDIT_TEXT(key));
    int rv = count(a, share.principal, QUOTA_BYTES, bytes);
    return rv == HF_OK ? count(a, share.principal, QUOTA_RECORDS, open ? 1 : 0) : rv;
}

static int count_record(struct audit *a, struct slice key, struct slice value)
{
    struct row_record row;
    struct slice data;
    int rv = state_decode(a->m, &row_record_type, value, &row);
    if (rv != HF_OK) return rv;
    rv = store_get(a->m->store, TABLE_CHECKPOINTS, key, &data);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    if (row.checkpoint_bytes != (rv == HF_OK ? data.size : 0))
        return audit_fail(a, "record '%.*s' mistakes its checkpoint's size", AUDIT_TEXT(key));
    const struct principal_share share = {row.principal, &row.counted_open, &row.counted_bytes};
    return count_share(a, "record", key, share, record_bytes_of(key, &row), record_is_open(&row));
}

static int count_branch(struct audit *a, struct slice key, struct slice value)
{
    struct row_branch row;
    int rv = state_decode(a->m, &row_branch_type, value, &row);
    if (rv != HF_OK) return rv;
    const struct principal_share share = {row.principal, &row.counted_open, &row.counted_bytes};
    return count_share(a, "branch", key, share, branch_bytes_of(key, &row),
                       !branch_is_finished(&row));
}

static int count_tombstone(struct audit *a, struct slice key, struct slice value)
{
    struct row_tombstone row;
    int rv = state_decode(a->m, &row_tombstone_type, value, &row);
    return rv == HF_OK ? count(a, row.principal, QUOTA_BYTES, tombstone_bytes_of(key)) : rv;
}

static int count_timer(struct audit *a, struct slice key, struct slice value)
{
    (void)key;
    struct row_timer row;
    int rv = state_decode(a->m, &row_timer_type, value, &row);
    return rv == HF_OK ? count(a, row.principal, QUOTA_TIMERS, 1) : rv;
}

static int compare_with_row(struct audit *a, struct counted *counted)
{
    static const enum quota counts[] = {QUOTA_SESSIONS, QUOTA_NAMES, QUOTA_RECORDS, QUOTA_BYTES,
                                        QUOTA_TIMERS};
    struct row_key key = row_key_u64(counted->id);
    struct row_principal row;
    uint64_t all = 0;
    int rv = state_get(a->m, TABLE_PRINCIPALS, row_key_slice(&key), &row_principal_type, &row);
    if (rv != HF_OK) return rv;
    for (size_t i = 0; i < HF_ARRAY_COUNT(counts); i++) {
        uint64_t told = *principal_count(&row, counts[i]);
        uint64_t found = *principal_count(&counted->row, counts[i]);
        all += found;
        if (told != found)
            return audit_fail(
                a, "principal '%.*s' at '%.*s' has %" PRIu64 " of quota %u, its row says %" PRIu64,
                AUDIT_TEXT(row.name), AUDIT_TEXT(row.host), found, (unsigned)counts[i], told);
    }
    if (all > 0) return HF_OK;
    return audit_fail(a, "principal '%.*s' has nothing and a row", AUDIT_TEXT(row.name));
}

int audit_principals(struct audit *a)
{
    static const struct {
        enum machine_table table;
        audit_cb *count_cb;
    } counted[] = {
        {TABLE_PRINCIPALS, list_principal}, /* first: the others are theirs */
        {TABLE_SESSIONS, count_session},     {TABLE_RECORDS, count_record},
        {TABLE_TOMBSTONES, count_tombstone}, {TABLE_TIMERS, count_timer},
        {TABLE_BRANCHES, count_branch},
    };
    struct machine *m = a->m;
    if (m->principal_id != 0) return audit_fail(a, "a principal's row was not written");
    struct counting c = {.audit = *a};
    c.items = malloc((store_count(m->store, TABLE_PRINCIPALS) + 1) * sizeof *c.items);
    if (c.items == NULL) return HF_ENOMEM;
    int rv = HF_OK;
    for (size_t i = 0; rv == HF_OK && i < HF_ARRAY_COUNT(counted); i++)
        rv = audit_rows(&c.audit, counted[i].table, NULL, counted[i].count_cb);
    for (size_t i = 0; rv == HF_OK && i < c.count; i++) {
        size_t mark = state_mark(m);
        rv = compare_with_row(&c.audit, &c.items[i]);
        if (rv == HF_OK) state_reset(m, mark);
    }
    free(c.items);
    return rv;
}
