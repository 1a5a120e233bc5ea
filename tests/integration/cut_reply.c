/* An acquire whose connection is cut at a random byte, of its request, of its reply, or of what the
 * library says to come back, brings the same fencing token when the library asks again: it was
 * granted once. Each acquire takes exactly one token, and whatever the server answered to it, also
 * in bytes that were cut off, told the same token. Its release, cut as well, is told done: the
 * answer of the time when it was.
 *
 *     cut_reply [TIMES [SEED]]      default 40
 *
 * The cuts are made by a proxy in this process, which reads along: it knows every answer that left
 * the server. */
#include <holdfast.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/integration/cutting_proxy.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire.h"

enum { REQUEST_BYTES = 90, REPLY_BYTES = 24, LATER_BYTES = 250, CUTS_MAX = 3 };

struct run {
    struct cutting_proxy proxy; /* between library and server */
    struct wire direct;         /* past the proxy, to look */
    hf_client *client;          /* through the proxy */
    struct prng prng;           /* seeded */
    uint64_t last_token;        /* of the acquire before */
    unsigned answered_twice;    /* acquires of which two answers left the server */
    unsigned uncut;             /* acquires that the cut came too late for */
    unsigned failed;            /* printed */
};

static void plan_cuts(struct run *r)
{
    struct cut cuts[CUTS_MAX];
    unsigned count =
        prng_below(&r->prng, 4) == 0 ? 1 + (unsigned)prng_below(&r->prng, CUTS_MAX) : 1;
    for (unsigned i = 0; i < count; i++) {
        bool reply = prng_below(&r->prng, 2) == 0;
        uint64_t most = i > 0 ? LATER_BYTES : reply ? REPLY_BYTES : REQUEST_BYTES;
        cuts[i] = (struct cut){.reply = reply, .after_bytes = (uint32_t)prng_below(&r->prng, most)};
    }
    cutting_proxy_arm(&r->proxy, cuts, count);
}

static bool is_valid(struct run *r, uint64_t token)
{
    struct msg_check check = {.name = slice_of("cut"), .fencing_token = token};
    struct msg_check_reply reply;
    int rv = wire_call(&r->direct, OP_CODE_CHECK, &check, &reply);
    return rv == HF_OK && reply.verdict == CHECK_VALID;
}

static bool fail(struct run *r, const char *what, int rv)
{
    fprintf(stderr, "%s: %s\n", what, hf_status_text(rv));
    r->failed++;
    return false;
}

static bool acquire_once(struct run *r, hf_lock *lock)
{
    hf_grant grant;
    plan_cuts(r);
    int rv = hf_lock_acquire(lock, "cut", 0, &grant, NULL);
    struct proxy_report told = cutting_proxy_disarm(&r->proxy);
    if (rv != HF_OK) return fail(r, "the acquire was not answered", rv);
    if (told.other_tokens > 0 || told.token != grant.fencing_token)
        return fail(r, "another token was told", rv);
    if (r->last_token != 0 && grant.fencing_token != r->last_token + 1)
        return fail(r, "it was granted more than once", rv);
    if (!is_valid(r, grant.fencing_token)) return fail(r, "the grant does not stand", rv);
    r->last_token = grant.fencing_token;
    if (told.answers > 1) r->answered_twice++;
    if (told.cuts == 0) r->uncut++;
    plan_cuts(r);
    rv = hf_lock_release(lock, &grant, NULL);
    (void)cutting_proxy_disarm(&r->proxy);
    return rv == HF_OK || fail(r, "the release failed", rv);
}

static void begin(struct run *r, const struct server_process *s)
{
    hf_options options;
    cutting_proxy_start(&r->proxy, s->port);
    HF_ASSERT(wire_open(&r->direct, s->port));
    hf_options_init(&options);
    options.servers = r->proxy.address;
    options.ttl_ms = TTL_MS_MAX;
    options.timeout_ms = 30000;
    HF_ASSERT(hf_client_open(&options, &r->client) == HF_OK);
}

int main(int argc, char **argv)
{
    unsigned times = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 40;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static struct run r;
    struct server_process s;
    hf_lock *lock;
    prng_seed(&r.prng, seed);
    server_process_init(&s);
    if (!server_process_start(&s)) return 1;
    begin(&r, &s);
    uint64_t from = now_ms();
    HF_ASSERT(hf_lock_new(r.client, &lock) == HF_OK);
    unsigned done = 0;
    while (done < times && acquire_once(&r, lock)) done++;
    printf("acquires=%u cut=%u answered_twice=%u failed=%u ms=%" PRIu64 " seed=%" PRIu64 "\n", done,
           done - r.uncut, r.answered_twice, r.failed, now_ms() - from, seed);
    hf_lock_free(lock);
    hf_client_close(r.client);
    cutting_proxy_stop(&r.proxy);
    wire_close(&r.direct);
    bool good = r.failed == 0 && done == times && r.answered_twice > 0 && r.uncut < done / 2;
    good = server_process_stop(&s) == 0 && good;
    server_process_close(&s, !good);
    return good ? 0 : 1;
}
