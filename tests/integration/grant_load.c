/* See the header. */
#include "tests/integration/grant_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"

enum { TTL_MS = 60000, TIMEOUT_MS = 30000 };

struct caller {
    struct grant_load *load; /* borrowed */
    unsigned number;         /* from 0 */
};

static struct caller callers[GRANT_CALLERS];

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void note_wrong(struct grant_load *l, const char *what, unsigned number, int status)
{
    if (atomic_fetch_add(&l->wrong, 1) < 10)
        fprintf(stderr, "caller %u: %s: %s\n", number, what, hf_status_name(status));
}

static void note_grant(struct grant_load *l)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t now = now_us();
    if (now - l->last_us > l->longest_us) l->longest_us = now - l->last_us;
    l->last_us = now;
    l->grants++;
    pthread_mutex_unlock(&l->mutex);
}

/* Acquire, look, release. \param token  the last one of this lock; its holder's. */
static bool cycle(struct grant_load *l, hf_lock *lock, unsigned number, uint64_t *token)
{
    char name[32] = "load/shared";
    hf_grant grant;
    bool shares = number < GRANT_CALLERS_SHARING;
    if (!shares) snprintf(name, sizeof name, "load/%u", number);
    int rv = hf_lock_acquire(lock, name, TIMEOUT_MS, &grant, NULL);
    if (rv != HF_OK) {
        note_wrong(l, "acquire", number, rv);
        return false;
    }
    note_grant(l);
    if (shares && atomic_fetch_add(&l->holders, 1) != 0) note_wrong(l, "two hold", number, rv);
    if (grant.fencing_token <= *token) note_wrong(l, "the token did not rise", number, rv);
    *token = grant.fencing_token;
    if (!hf_grant_valid(&grant, 0)) note_wrong(l, "a grant that is not valid", number, rv);
    if (shares) atomic_fetch_sub(&l->holders, 1);
    rv = hf_lock_release(lock, &grant, NULL);
    if (rv != HF_OK) note_wrong(l, "release", number, rv);
    return rv == HF_OK;
}

static void *call(void *data)
{
    struct caller *caller = data;
    struct grant_load *l = caller->load;
    uint64_t own = 0;
    uint64_t *token = caller->number < GRANT_CALLERS_SHARING ? &l->shared_token : &own;
    hf_lock *lock;
    HF_ASSERT(hf_lock_new(l->client, &lock) == HF_OK);
    while (!atomic_load(&l->stop) && cycle(l, lock, caller->number, token)) {
    }
    hf_lock_free(lock);
    return NULL;
}

void grant_load_start(struct grant_load *l, const char *servers)
{
    hf_options options;
    *l = (struct grant_load){.last_us = now_us()};
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = TTL_MS;
    options.timeout_ms = TIMEOUT_MS;
    HF_ASSERT(hf_client_open(&options, &l->client) == HF_OK);
    HF_ASSERT(pthread_mutex_init(&l->mutex, NULL) == 0);
    for (unsigned i = 0; i < GRANT_CALLERS; i++) {
        callers[i] = (struct caller){.load = l, .number = i};
        HF_ASSERT(pthread_create(&l->threads[i], NULL, call, &callers[i]) == 0);
    }
}

void grant_load_mark(struct grant_load *l)
{
    pthread_mutex_lock(&l->mutex);
    l->longest_us = 0;
    pthread_mutex_unlock(&l->mutex);
}

uint64_t grant_load_longest_us(struct grant_load *l)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t under_way = now_us() - l->last_us;
    uint64_t longest = under_way > l->longest_us ? under_way : l->longest_us;
    pthread_mutex_unlock(&l->mutex);
    return longest;
}

uint64_t grant_load_count(struct grant_load *l)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t count = l->grants;
    pthread_mutex_unlock(&l->mutex);
    return count;
}

bool grant_load_stop(struct grant_load *l)
{
    atomic_store(&l->stop, true);
    for (unsigned i = 0; i < GRANT_CALLERS; i++) pthread_join(l->threads[i], NULL);
    hf_client_close(l->client);
    pthread_mutex_destroy(&l->mutex);
    if (l->grants == 0) fprintf(stderr, "nothing was granted\n");
    return l->grants > 0 && atomic_load(&l->wrong) == 0;
}
