/* See the header. Bodies are made from the index, so that nothing has to be kept. */
#include "tests/integration/known_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "base/status.h"

enum { NAME_BYTES = 32, RUNNING_NUMBER = 7 };

static struct slice body_of(uint32_t index, uint32_t bytes)
{
    static uint8_t body[BODY_BYTES_MAX];
    struct prng prng;
    prng_seed(&prng, index);
    for (uint32_t i = 0; i < bytes; i++) body[i] = (uint8_t)prng_next(&prng);
    return slice_make(body, bytes);
}

static struct slice fingerprint_of(uint32_t index)
{
    static uint8_t fingerprint[FINGERPRINT_BYTES];
    put_u32(fingerprint, index);
    return slice_make(fingerprint, sizeof fingerprint);
}

static uint64_t owner_of(uint32_t index)
{
    return (uint64_t)index + 1;
}

static bool complain(const char *what, uint32_t index, int rv)
{
    fprintf(stderr, "known state: %s %" PRIu32 ": %s (%d)\n", what, index, status_name(rv), rv);
    return false;
}

/* ------------------------------------------------------------------ making it */

static void raise_max(struct known_state *k, uint64_t token)
{
    if (token > k->token_max) k->token_max = token;
}

static bool add_lock(struct known_state *k, struct wire *c)
{
    char name[NAME_BYTES];
    uint32_t index = k->lock_count;
    struct known_lock *lock = &k->locks[index];
    HF_ASSERT(index < KNOWN_LOCKS_MAX);
    snprintf(name, sizeof name, "lock/%" PRIu32, index);
    int rv = wire_acquire(c, name, owner_of(index), 0, &lock->token);
    if (rv != HF_OK) return complain("acquire", index, rv);
    raise_max(k, lock->token);
    lock->held = index % 4 != 3;
    if (!lock->held) rv = wire_release(c, name, owner_of(index), lock->token);
    k->lock_count++;
    return rv == HF_OK || complain("release", index, rv);
}

static bool add_record(struct known_state *k, struct wire *c, uint32_t body_bytes)
{
    char key[NAME_BYTES];
    uint32_t index = k->record_count;
    struct known_record *record = &k->records[index];
    HF_ASSERT(index < KNOWN_RECORDS_MAX);
    snprintf(key, sizeof key, "record/%" PRIu32, index);
    struct msg_begin begin = {
        .key = slice_of(key),
        .fingerprint = fingerprint_of(index),
        .retain_ms = RETAIN_MS_DEFAULT,
    };
    struct msg_begin_reply begun;
    int rv = wire_call(c, OP_CODE_BEGIN, &begin, &begun);
    if (rv != HF_OK || begun.verdict != BEGIN_STARTED) return complain("begin", index, rv);
    *record = (struct known_record){
        .token = begun.fencing_token, .body_bytes = body_bytes, .done = index % 5 != 4};
    raise_max(k, record->token);
    k->record_count++;
    if (record->done) {
        rv = known_state_complete(c, index, record->token, body_bytes);
        return rv == HF_OK || complain("complete", index, rv);
    }
    struct msg_checkpoint checkpoint = {
        .key = slice_of(key),
        .fencing_token = record->token,
        .name = slice_of("half"),
        .number = RUNNING_NUMBER,
        .data = body_of(index, body_bytes),
    };
    rv = wire_call(c, OP_CODE_CHECKPOINT, &checkpoint, NULL);
    return rv == HF_OK || complain("checkpoint", index, rv);
}

int known_state_complete(struct wire *c, uint32_t index, uint64_t token, uint32_t body_bytes)
{
    char key[NAME_BYTES];
    snprintf(key, sizeof key, "record/%" PRIu32, index);
    struct msg_complete complete = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = OUTCOME_DONE,
        .code = index,
        .body = body_of(index, body_bytes),
    };
    return wire_call(c, OP_CODE_COMPLETE, &complete, NULL);
}

bool known_state_add(struct known_state *k, struct wire *c, uint32_t locks, uint32_t records,
                     uint32_t body_bytes)
{
    HF_ASSERT(c->session != 0);
    k->session = c->session;
    for (uint32_t i = 0; i < locks || i < records; i++) {
        if (i < records && !add_record(k, c, body_bytes)) return false;
        if (i < locks && !add_lock(k, c)) return false;
    }
    while (k->lock_count % 4 == 3) { /* the last one is to be held: its answer is asked again */
        if (!add_lock(k, c)) return false;
    }
    if (!add_lock(k, c)) return false;
    k->last_seq = c->seq;
    return true;
}

/* ------------------------------------------------------------------ comparing it */

/* Who does not lead has said nothing of the state. */
static int wrong(const char *what, uint32_t index, int rv)
{
    if (rv == WIRE_BROKEN || rv == WIRE_SILENT || rv == HF_ENOTLEADER) return rv;
    (void)complain(what, index, rv);
    return HF_ECORRUPT;
}

static int compare_lock(const struct known_state *k, struct wire *c, uint32_t index)
{
    char name[NAME_BYTES];
    const struct known_lock *lock = &k->locks[index];
    snprintf(name, sizeof name, "lock/%" PRIu32, index);
    struct msg_check check = {.name = slice_of(name), .fencing_token = lock->token};
    struct msg_check_reply reply;
    int rv = wire_call(c, OP_CODE_CHECK, &check, &reply);
    if (rv != HF_OK) return wrong("check of lock", index, rv);
    if ((reply.verdict == CHECK_VALID) == lock->held) return HF_OK;
    return wrong(lock->held ? "a grant is gone: lock" : "a released grant is back: lock", index,
                 HF_OK);
}

static bool record_is(const struct msg_record_reply *reply, const struct known_record *record,
                      uint32_t index)
{
    struct slice body = body_of(index, record->body_bytes);
    if (reply->fencing_token != record->token) return false;
    if (!slice_equal(reply->fingerprint, fingerprint_of(index))) return false;
    if (record->done) {
        return reply->state == RECORD_DONE && reply->code == index &&
               slice_equal(reply->body, body);
    }
    return reply->state == RECORD_RUNNING && reply->checkpoint_number == RUNNING_NUMBER &&
           slice_equal(reply->checkpoint_data, body);
}

static int compare_record(const struct known_state *k, struct wire *c, uint32_t index)
{
    char key[NAME_BYTES];
    snprintf(key, sizeof key, "record/%" PRIu32, index);
    struct msg_record_get get = {.key = slice_of(key)};
    struct msg_record_reply reply;
    int rv = wire_call(c, OP_CODE_RECORD_GET, &get, &reply);
    if (rv != HF_OK) return wrong("get of record", index, rv);
    if (record_is(&reply, &k->records[index], index)) return HF_OK;
    return wrong("another state or body than acknowledged: record", index, HF_OK);
}

static int count_locks(struct wire *c, uint32_t *count)
{
    char cursor[NAME_BYTES_MAX];
    struct msg_list list = {.prefix = slice_of("lock/"), .count_max = PAGE_ITEMS_MAX};
    struct msg_list_reply page;
    do { /* a page is as long as the server likes */
        int rv = wire_call(c, OP_CODE_LIST, &list, &page);
        if (rv != HF_OK) return wrong("list of locks", *count, rv);
        *count += page.locks.count;
        memcpy(cursor, page.cursor.data, page.cursor.size);
        list.cursor = slice_make(cursor, page.cursor.size);
    } while (list.cursor.size > 0);
    return HF_OK;
}

static int count_records(struct wire *c, uint32_t *count)
{
    char cursor[NAME_BYTES_MAX];
    struct msg_record_list list = {.prefix = slice_of("record/"), .count_max = PAGE_ITEMS_MAX};
    struct msg_record_list_reply page;
    do {
        int rv = wire_call(c, OP_CODE_RECORD_LIST, &list, &page);
        if (rv != HF_OK) return wrong("list of records", *count, rv);
        *count += page.records.count;
        memcpy(cursor, page.cursor.data, page.cursor.size);
        list.cursor = slice_make(cursor, page.cursor.size);
    } while (list.cursor.size > 0);
    return HF_OK;
}

/* As many as there should be, and no more. */
static int compare_counts(const struct known_state *k, struct wire *c)
{
    uint32_t held = 0, locks = 0, records = 0;
    for (uint32_t i = 0; i < k->lock_count; i++) held += k->locks[i].held;
    int rv = count_locks(c, &locks);
    if (rv == HF_OK) rv = count_records(c, &records);
    if (rv != HF_OK) return rv;
    if (locks != held) return wrong("locks listed", locks, HF_OK);
    return records == k->record_count ? HF_OK : wrong("records listed", records, HF_OK);
}

/* The last ACQUIRE again, under its number: the same token, and it stands. */
static int compare_retry(const struct known_state *k, struct wire *c)
{
    char name[NAME_BYTES];
    uint32_t index = k->lock_count - 1;
    snprintf(name, sizeof name, "lock/%" PRIu32, index);
    struct slice names[1] = {slice_of(name)};
    struct msg_acquire acquire = {.names = {names, 1}, .owner = owner_of(index)};
    struct client_envelope e = {
        .session = k->session, .seq = k->last_seq, .ack = k->last_seq - 1, .renews = 1};
    struct msg_granted granted;
    int rv = wire_call_as(c, OP_CODE_ACQUIRE, &e, &acquire, &granted);
    if (rv != HF_OK) return wrong("retry of the last acquire", index, rv);
    if (granted.fencing_token != k->locks[index].token)
        return wrong("another token on retry: lock", index, 0);
    if (c->reply.flags == (REPLY_REPEATED | REPLY_STANDS)) return HF_OK;
    return wrong("the retry was not told REPEATED and STANDS: lock", index, 0);
}

static int compare_token(const struct known_state *k, struct wire *c)
{
    uint64_t token = 0;
    char name[NAME_BYTES];
    int rv = wire_session(c);
    if (rv != HF_OK) return wrong("a new session", 0, rv);
    snprintf(name, sizeof name, "new/%" PRIu64, c->session);
    rv = wire_acquire(c, name, 1, 0, &token);
    if (rv != HF_OK) return wrong("a new grant", 0, rv);
    return token > k->token_max ? HF_OK : wrong("tokens went back: new grant", 0, 0);
}

int known_state_compare(const struct known_state *k, uint16_t port)
{
    struct wire c;
    if (!wire_open(&c, port)) return WIRE_BROKEN;
    int rv = compare_counts(k, &c);
    for (uint32_t i = 0; i < k->lock_count && rv == HF_OK; i++) rv = compare_lock(k, &c, i);
    for (uint32_t i = 0; i < k->record_count && rv == HF_OK; i++) rv = compare_record(k, &c, i);
    if (rv == HF_OK) rv = compare_retry(k, &c);
    if (rv == HF_OK) rv = compare_token(k, &c);
    wire_close(&c);
    return rv;
}

bool known_state_is_completed(struct wire *c, uint32_t index, uint64_t token, uint32_t body_bytes,
                              bool *done)
{
    char key[NAME_BYTES];
    snprintf(key, sizeof key, "record/%" PRIu32, index);
    struct msg_record_get get = {.key = slice_of(key)};
    struct msg_record_reply reply;
    if (wire_call(c, OP_CODE_RECORD_GET, &get, &reply) != HF_OK) return false;
    *done = reply.state == RECORD_DONE;
    return !*done ||
           (reply.fencing_token == token && slice_equal(reply.body, body_of(index, body_bytes)));
}
