/* A disk that fills up under a cluster, and is emptied again: new work is refused NO_SPACE before
 * anything breaks, who holds something gives it back and finishes it meanwhile, and once there is
 * space service comes back by itself, no server restarted.
 *
 *     full_disk [SERVERS [MIB [ext4 | tmpfs]]]      default 1 256 tmpfs
 *
 * Each server's data lie on a disk of MIB of its own. Callers begin records and complete them with
 * 64 KiB, and acquire locks and release them, without pause. The phases, of which each second is a
 * line: `load` until nothing is accepted for a while; `finish`: the holders release their locks and
 * complete their attempts; `erase`: an operator erases results, the room in the store is used
 * again; `load` until it is full once more; `ballast`: a file beside the data is deleted, on each
 * disk; `after`. "free" is the fullest disk's.
 * Every claim that fails is a line on standard error, and the exit code is 1; 77: no disk may be
 * mounted here. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "tests/integration/cluster_process.h"
#include "tests/integration/small_disk.h"
#include "tests/integration/whole_state.h"
#include "tests/integration/wire.h"

enum {
    CALLERS = 4,
    LOCKS = 100,
    ATTEMPTS = 100,
    ERASED_MAX = 400,
    LEASE_MS = 86400000,
    PAUSE_MS = 5,     /* of a caller that was refused */
    FULL_SECONDS = 3, /* nothing is accepted for so long: it is full */
    LOAD_SECONDS_MAX = 240,
    BACK_SECONDS_MAX = 20,
    AFTER_SECONDS = 5,
    BALLAST_PART = 4,    /* this part of a disk is a file that is deleted later */
    CALL_MS_MAX = 60000, /* until an exempt request is answered */
    EXIT_SKIPPED = 77,
};

static struct cluster_process cluster;
static struct small_disk disks[CLUSTER_PROCESSES];
static const uint8_t body[BODY_BYTES_MAX];

/* What callers were told since the last line. */
static struct {
    atomic_bool stop;
    atomic_uint begun;        /* records */
    atomic_uint acquired;     /* locks */
    atomic_uint no_space;     /* new work, refused */
    atomic_uint too_busy;     /* likewise */
    atomic_uint other;        /* likewise, otherwise */
    atomic_uint finished;     /* COMPLETE and RELEASE that went through */
    atomic_uint unfinished;   /* COMPLETE or RELEASE that was refused: must not be */
    atomic_uint slowest_ms;   /* of those */
    atomic_uint record_count; /* of all that callers have done so far */
} told;

static bool good = true;

static void claim(bool holds, const char *what)
{
    if (!holds) fprintf(stderr, "FAILED: %s\n", what);
    good = good && holds;
}

/* ------------------------------------------------------------------ calls that must be answered */

static void dial(struct wire *w)
{
    uint64_t session = w->session, seq = w->seq;
    wire_close(w);
    while (!wire_open(w, cluster.servers[cluster_process_leader(&cluster)].port)) sleep_ms(10);
    w->session = session;
    w->seq = seq;
    w->ack = seq > 0 ? seq - 1 : 0;
}

/* One request, repeated under its number until somebody says what became of it. */
static int call(struct wire *w, uint16_t op, const void *request, void *answer)
{
    struct client_envelope e = wire_envelope(w, op);
    e.ack = e.seq > 0 ? e.seq - 1 : 0;
    for (uint64_t until_ms = now_ms() + CALL_MS_MAX;;) {
        int rv = wire_call_as(w, op, &e, request, answer);
        bool lost = rv == WIRE_BROKEN || rv == WIRE_SILENT || rv == HF_ENOTLEADER;
        if (!lost && rv != HF_EUNKNOWN && rv != HF_ESHUTDOWN) return rv;
        if (now_ms() > until_ms) return rv;
        dial(w);
    }
}

static void finish(struct wire *w, uint16_t op, const void *request)
{
    uint64_t from_ms = now_ms();
    int rv = call(w, op, request, NULL);
    unsigned took_ms = (unsigned)(now_ms() - from_ms);
    if (took_ms > atomic_load(&told.slowest_ms)) atomic_store(&told.slowest_ms, took_ms);
    if (rv != HF_OK) fprintf(stderr, "%s is refused: %s\n", op_find(op)->name, status_name(rv));
    atomic_fetch_add(rv == HF_OK ? &told.finished : &told.unfinished, 1);
}

static int begin(struct wire *w, const char *key, uint64_t *token)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES];
    struct msg_begin request = {
        .key = slice_of(key),
        .fingerprint = slice_make(fingerprint, sizeof fingerprint),
        .lease_ms = LEASE_MS,
        .retain_ms = RETAIN_MS_DEFAULT,
    };
    struct msg_begin_reply reply;
    int rv = call(w, OP_CODE_BEGIN, &request, &reply);
    if (rv == HF_OK) *token = reply.fencing_token;
    return rv;
}

static void complete(struct wire *w, const char *key, uint64_t token)
{
    struct msg_complete request = {
        .key = slice_of(key),
        .fencing_token = token,
        .outcome = OUTCOME_DONE,
        .body = slice_make(body, sizeof body),
    };
    finish(w, OP_CODE_COMPLETE, &request);
}

static int acquire(struct wire *w, const char *name, uint64_t *token)
{
    struct slice names[] = {slice_of(name)};
    struct msg_acquire request = {.names = {names, 1}, .owner = 1};
    struct msg_granted granted;
    int rv = call(w, OP_CODE_ACQUIRE, &request, &granted);
    if (rv == HF_OK) *token = granted.fencing_token;
    return rv;
}

static void release(struct wire *w, const char *name, uint64_t token)
{
    struct msg_release request = {.name = slice_of(name), .fencing_token = token, .owner = 1};
    finish(w, OP_CODE_RELEASE, &request);
}

static void open_session(struct wire *w)
{
    dial(w);
    while (wire_session(w) != HF_OK) dial(w);
}

/* ------------------------------------------------------------------ callers */

static void note_refusal(int status)
{
    if (status == HF_ENOSPACE) {
        atomic_fetch_add(&told.no_space, 1);
    } else if (status == HF_ETOOBUSY) {
        atomic_fetch_add(&told.too_busy, 1);
    } else {
        atomic_fetch_add(&told.other, 1);
    }
    sleep_ms(PAUSE_MS);
}

static void *press(void *data)
{
    unsigned number = *(unsigned *)data;
    struct wire w = {.fd = -1};
    open_session(&w);
    while (!atomic_load(&told.stop)) {
        char key[32], name[32];
        uint64_t token;
        snprintf(key, sizeof key, "load/%u", atomic_fetch_add(&told.record_count, 1));
        int rv = begin(&w, key, &token);
        if (rv == HF_OK) {
            atomic_fetch_add(&told.begun, 1);
            complete(&w, key, token);
        } else {
            note_refusal(rv);
        }
        snprintf(name, sizeof name, "load/lock/%u", number);
        rv = acquire(&w, name, &token);
        if (rv == HF_OK) {
            atomic_fetch_add(&told.acquired, 1);
            release(&w, name, token);
        } else {
            note_refusal(rv);
        }
    }
    wire_close(&w);
    return NULL;
}

/* ------------------------------------------------------------------ holders and the operator */

static uint64_t lock_tokens[LOCKS], attempt_tokens[ATTEMPTS];
static struct wire holder = {.fd = -1};

static void hold(void)
{
    char name[32];
    open_session(&holder);
    for (unsigned i = 0; i < LOCKS; i++) {
        snprintf(name, sizeof name, "held/%u", i);
        claim(acquire(&holder, name, &lock_tokens[i]) == HF_OK, "a holder gets its lock");
    }
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        snprintf(name, sizeof name, "open/%u", i);
        claim(begin(&holder, name, &attempt_tokens[i]) == HF_OK, "a holder begins its attempt");
    }
}

static void *finish_all(void *data)
{
    char name[32];
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        snprintf(name, sizeof name, "open/%u", i);
        complete(&holder, name, attempt_tokens[i]);
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        snprintf(name, sizeof name, "held/%u", i);
        release(&holder, name, lock_tokens[i]);
    }
    atomic_store((atomic_bool *)data, true);
    return NULL;
}

static void *erase_some(void *data)
{
    char key[32];
    unsigned all = atomic_load(&told.record_count);
    for (unsigned i = 0; i < ERASED_MAX && i < all / 2; i++) {
        snprintf(key, sizeof key, "load/%u", i);
        struct msg_erase request = {
            .key = slice_of(key), .reason = slice_of("room"), .operator_name = slice_of("ann")};
        finish(&holder, OP_CODE_ERASE, &request);
    }
    atomic_store((atomic_bool *)data, true);
    return NULL;
}

/* ------------------------------------------------------------------ lines */

static unsigned second; /* of the run */

static uint64_t free_mib(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < cluster.count; i++) {
        uint64_t mib = small_disk_free_mib(&disks[i]);
        if (mib < least) least = mib;
    }
    return least;
}

/* A second goes by. \return what was accepted in it. */
static unsigned step(const char *phase)
{
    sleep_ms(1000);
    unsigned begun = atomic_exchange(&told.begun, 0);
    unsigned acquired = atomic_exchange(&told.acquired, 0);
    printf("%4u %-8s %6u %6u %8u %8u %6u %8u %10u %7u %5" PRIu64 "\n", ++second, phase, begun,
           acquired, atomic_exchange(&told.no_space, 0), atomic_exchange(&told.too_busy, 0),
           atomic_exchange(&told.other, 0), atomic_exchange(&told.finished, 0),
           atomic_load(&told.unfinished), atomic_exchange(&told.slowest_ms, 0), free_mib());
    fflush(stdout);
    return begun + acquired;
}

static void load_until_full(const char *what)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < LOAD_SECONDS_MAX && refused < FULL_SECONDS; i++)
        refused = step("load") > 0 ? 0 : refused + 1;
    claim(refused == FULL_SECONDS, what);
}

/* One does something while callers go on, to its end. */
static void run_beside(const char *phase, void *(*act)(void *))
{
    pthread_t thread;
    atomic_bool over = false;
    HF_ASSERT(pthread_create(&thread, NULL, act, &over) == 0);
    while (!atomic_load(&over)) (void)step(phase);
    pthread_join(thread, NULL);
}

static void await_service(const char *phase, const char *what)
{
    unsigned waited = 0;
    while (waited < BACK_SECONDS_MAX && step(phase) == 0) waited++;
    claim(waited < BACK_SECONDS_MAX, what);
}

static void run_phases(void)
{
    pthread_t threads[CALLERS];
    unsigned numbers[CALLERS];
    for (unsigned i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        HF_ASSERT(pthread_create(&threads[i], NULL, press, &numbers[i]) == 0);
    }
    printf("   s phase     begun   locks no_space too_busy  other finished unfinished slowest  "
           "free\n");
    load_until_full("the disk fills, and new work is refused");
    run_beside("finish", finish_all);
    run_beside("erase", erase_some);
    await_service("erase", "what was erased makes room for new work");
    load_until_full("it fills again");
    for (unsigned i = 0; i < cluster.count; i++) small_disk_drop_ballast(&disks[i]);
    await_service("ballast", "service comes back with the space");
    for (unsigned i = 0; i < AFTER_SECONDS; i++) (void)step("after");
    atomic_store(&told.stop, true);
    for (unsigned i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    claim(atomic_load(&told.unfinished) == 0, "no RELEASE, COMPLETE or ERASE is refused");
}

static bool mount_disks(enum small_disk_kind kind, unsigned mib)
{
    if (!small_disk_prepare()) return false;
    for (unsigned i = 0; i < cluster.count; i++) {
        if (!small_disk_mount(&disks[i], cluster.servers[i].folder, kind, mib)) return false;
        small_disk_put_ballast(&disks[i], mib / BALLAST_PART);
    }
    return true;
}

static void run(void)
{
    claim(cluster_process_start(&cluster), "the servers start");
    if (!good) return;
    hold();
    run_phases();
    wire_close(&holder);
    claim(cluster_process_agree(&cluster), "the servers have one state");
    claim(cluster_process_stop(&cluster), "the servers stop as they are told");
    for (unsigned i = 0; good && i < cluster.count; i++)
        claim(whole_state_holds(&cluster.servers[i]), "the whole state holds");
}

int main(int argc, char **argv)
{
    unsigned servers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned mib = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 256;
    bool ext4 = argc > 3 && strcmp(argv[3], "ext4") == 0;
    HF_ASSERT(servers == 1 || servers == CLUSTER_PROCESSES);
    HF_ASSERT(mib >= 128);
    cluster_process_init(&cluster, servers);
    bool mounted = mount_disks(ext4 ? SMALL_DISK_EXT4 : SMALL_DISK_TMPFS, mib);
    if (mounted) run();
    if (mounted) printf("%s\n", good ? "all claims hold" : "FAILED");
    cluster_process_kill(&cluster);
    for (unsigned i = 0; i < servers; i++) small_disk_remove(&disks[i]);
    cluster_process_close(&cluster, false);
    if (!mounted) return EXIT_SKIPPED;
    return good ? 0 : 1;
}
