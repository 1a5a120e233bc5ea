/* See the header. */
#include "tests/integration/acknowledged.h"

#include <holdfast.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tests/integration/server_process.h"

enum {
    GRANTS_MAX = 4000, /* a session has no more */
    RECORDS_MAX = 20000,
    FAST_RECORDS = 1000, /* from here on with pauses, so that a long run is under load to its end */
    PAUSE_MS = 10,
    TTL_MS = 3600000,
    TIMEOUT_MS = 20000,
};

struct worker {
    pthread_t thread;              /* runs work() */
    int id;                        /* 0 .. ACKNOWLEDGED_WORKERS - 1 */
    hf_client *client;             /* its own session */
    atomic_uint grant_count;       /* acknowledged */
    atomic_uint record_count;      /* acknowledged */
    uint64_t grants[GRANTS_MAX];   /* token of lock "g/ID/INDEX" */
    uint64_t records[RECORDS_MAX]; /* token of record "r/ID/INDEX" */
};

static struct worker workers[ACKNOWLEDGED_WORKERS];
static atomic_bool running = true;
static atomic_uint unknown_count;
static atomic_uint_fast64_t token_max;

static void raise_token_max(uint64_t token)
{
    uint64_t seen = atomic_load(&token_max);
    while (seen < token && !atomic_compare_exchange_weak(&token_max, &seen, token)) {
    }
}

static bool acquire_one(struct worker *w)
{
    char name[64];
    unsigned index = atomic_load(&w->grant_count);
    if (index == GRANTS_MAX) return false;
    hf_lock *lock;
    hf_grant grant;
    hf_request request = {0};
    snprintf(name, sizeof name, "g/%d/%u", w->id, index);
    HF_ASSERT(hf_lock_new(w->client, &lock) == HF_OK);
    int rv = hf_lock_acquire(lock, name, 0, &grant, &request);
    while (rv == HF_EUNKNOWN && atomic_load(&running)) rv = hf_request_retry(&request);
    if (rv != HF_OK) {
        atomic_fetch_add(&unknown_count, 1);
        return false; /* the handle is left alone: its grant, if any, is not counted */
    }
    w->grants[index] = grant.fencing_token;
    raise_token_max(grant.fencing_token);
    atomic_store(&w->grant_count, index + 1);
    return true; /* and kept: never released, never freed */
}

static void begin_of(struct hf_begin *how, const char *key)
{
    *how = (struct hf_begin){.retain_ms = 86400000};
    hf_fingerprint(key, strlen(key), how->fingerprint);
}

static void complete_one(struct worker *w)
{
    char key[64];
    unsigned index = atomic_load(&w->record_count);
    if (index == RECORDS_MAX) return;
    hf_begin how;
    hf_record *record;
    hf_request request = {0};
    snprintf(key, sizeof key, "r/%d/%u", w->id, index);
    begin_of(&how, key);
    int rv = hf_record_begin(w->client, key, &how, &record, &request);
    while (rv == HF_EUNKNOWN && atomic_load(&running)) rv = hf_request_retry(&request);
    if (rv != HF_OK) {
        atomic_fetch_add(&unknown_count, 1);
        return;
    }
    uint64_t token = hf_record_look(record)->fencing_token;
    hf_result result = {.code = index, .body = key, .body_bytes = strlen(key)};
    rv = hf_record_complete(record, HF_DONE, &result, &request);
    while (rv == HF_EUNKNOWN && atomic_load(&running)) rv = hf_request_retry(&request);
    if (rv == HF_OK) {
        w->records[index] = token;
        raise_token_max(token);
        atomic_store(&w->record_count, index + 1);
    }
    hf_record_free(record);
}

static void *work(void *data)
{
    struct worker *w = data;
    while (atomic_load(&running)) {
        if (!acquire_one(w)) sleep_ms(1);
        if (atomic_load(&w->record_count) > FAST_RECORDS) sleep_ms(PAUSE_MS);
        complete_one(w);
    }
    return NULL;
}

static unsigned check_grants(struct worker *w, hf_client *client)
{
    unsigned lost = 0;
    char name[64];
    unsigned count = atomic_load(&w->grant_count);
    for (unsigned i = 0; i < count; i++) {
        int verdict;
        snprintf(name, sizeof name, "g/%d/%u", w->id, i);
        int rv = hf_lock_check(client, name, w->grants[i], &verdict, NULL);
        if (rv == HF_OK && verdict == HF_CHECK_VALID) continue;
        fprintf(stderr, "lost: lock %s token %" PRIu64 ": %s, verdict %d\n", name, w->grants[i],
                hf_status_name(rv), rv == HF_OK ? verdict : -1);
        lost++;
    }
    return lost;
}

static unsigned check_records(struct worker *w, hf_client *client)
{
    unsigned lost = 0;
    char key[64];
    unsigned count = atomic_load(&w->record_count);
    for (unsigned i = 0; i < count; i++) {
        hf_begin how;
        hf_record *record = NULL;
        snprintf(key, sizeof key, "r/%d/%u", w->id, i);
        begin_of(&how, key);
        int rv = hf_record_begin(client, key, &how, &record, NULL);
        const hf_record_view *view = rv == HF_OK ? hf_record_look(record) : NULL;
        if (view == NULL || view->verdict != HF_REPLAY || view->code != i ||
            view->body_bytes != strlen(key) || memcmp(view->body, key, view->body_bytes) != 0) {
            fprintf(stderr, "lost: record %s: %s\n", key, hf_status_name(rv));
            lost++;
        }
        hf_record_free(record);
    }
    return lost;
}

static hf_client *checker;

static hf_client *open_client(const char *servers)
{
    hf_client *client;
    hf_options options;
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = TTL_MS;
    options.timeout_ms = TIMEOUT_MS;
    HF_ASSERT(hf_client_open(&options, &client) == HF_OK);
    return client;
}

void acknowledged_start(const char *servers)
{
    checker = open_client(servers);
    for (int i = 0; i < ACKNOWLEDGED_WORKERS; i++) {
        workers[i].id = i;
        workers[i].client = open_client(servers);
        HF_ASSERT(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
}

uint64_t acknowledged_token_max(void)
{
    return atomic_load(&token_max);
}

unsigned acknowledged_check_token(uint64_t above, unsigned number)
{
    char name[64];
    hf_lock *lock;
    hf_grant grant;
    snprintf(name, sizeof name, "t/%u", number);
    HF_ASSERT(hf_lock_new(checker, &lock) == HF_OK);
    int rv = hf_lock_acquire(lock, name, 0, &grant, NULL);
    bool good = rv == HF_OK && grant.fencing_token > above;
    if (!good) fprintf(stderr, "token did not rise above %" PRIu64 "\n", above);
    hf_lock_free(lock);
    return good ? 0 : 1;
}

unsigned acknowledged_check(unsigned worker)
{
    HF_ASSERT(worker < ACKNOWLEDGED_WORKERS);
    return check_grants(&workers[worker], checker) + check_records(&workers[worker], checker);
}

unsigned acknowledged_stop(struct acknowledged_counts *counts)
{
    unsigned lost = 0;
    atomic_store(&running, false);
    *counts = (struct acknowledged_counts){0};
    for (int i = 0; i < ACKNOWLEDGED_WORKERS; i++) pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < ACKNOWLEDGED_WORKERS; i++) {
        lost += acknowledged_check(i);
        counts->grants += atomic_load(&workers[i].grant_count);
        counts->records += atomic_load(&workers[i].record_count);
    }
    counts->unknown = atomic_load(&unknown_count);
    if (counts->grants == 0 || counts->records == 0) lost++;
    return lost;
}
