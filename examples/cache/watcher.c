/* cache_watcher: keeps a copy of what is known of the records under a prefix, up to date with what
 * happens to them, in a file for others to read. Read keep_up() first.
 *
 *   cache_watcher PREFIX FILE            until TERM
 *   cache_watcher PREFIX FILE --once     until it has caught up with now
 *
 * An administrator switches the events on first: holdfast events on PREFIX --reason ... */
#include <holdfast_watch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/cache/cache.h"

enum { WAIT_MS = 2000, KEYS_A_POLL = 200, EXIT_USE = 64 };

struct watcher {
    hf_client *client;                          /* owned */
    struct cache cache;                         /* what it is all about */
    hf_watch watch;                             /* what is wanted, and where it stands */
    char touched[KEYS_A_POLL][CACHE_KEY_BYTES]; /* keys of the events of one poll */
    int touched_count;                          /* of them */
};

static volatile sig_atomic_t ending;

static void end(int signal_number)
{
    (void)signal_number;
    ending = 1;
}

static void fail(const char *what, int status)
{
    fprintf(stderr, "cache_watcher: cannot %s: %s (%s)\n", what, hf_status_text(status),
            hf_status_name(status));
    exit(1);
}

/* Statuses that pass: the watch stands where it stood. */
static int is_weather(int status)
{
    return status == HF_ECONNECT || status == HF_ETIMEOUT || status == HF_EUNKNOWN ||
           status == HF_ENOTLEADER || status == HF_ESHUTDOWN || status == HF_ETOOBUSY;
}

/* ------------------------------------------------------------------ reading */

static int take_record(const hf_record_line *line, void *data)
{
    struct watcher *w = data;
    cache_put(&w->cache, line->key, line->state, line->fencing_token);
    return 0;
}

/* A watch that begins shows nothing. */
static int see_nothing(const hf_event *event, void *data)
{
    (void)event;
    (void)data;
    return 0;
}

/* Everything anew. The number comes first, the list behind it: what happens in between is told
 * again by its event, which does no harm. The other way round it would be missed. */
static int fill(struct watcher *w)
{
    hf_watch from_now = w->watch;
    from_now.next = 0;
    int rv = hf_watch_poll(w->client, &from_now, see_nothing, NULL);
    if (rv != HF_OK) return rv;
    cache_clear(&w->cache);
    rv = hf_record_list(w->client, w->watch.prefix, "", 0, take_record, w);
    if (rv == HF_OK) w->watch.next = from_now.next;
    return rv;
}

/* An event says that a key has changed, and the servers what it is now: that may be newer than the
 * event, and then the next event says the same once more. */
static int refresh(struct watcher *w, const char *key)
{
    int rv = hf_record_info(w->client, key, take_record, w);
    if (rv != HF_ENOTFOUND) return rv;
    cache_drop(&w->cache, key);
    return HF_OK;
}

/* On the watch's thread a callback may not ask for anything: it takes a note. */
static int note_key(const hf_event *event, void *data)
{
    struct watcher *w = data;
    (void)snprintf(w->touched[w->touched_count++], CACHE_KEY_BYTES, "%s", event->name);
    return w->touched_count == KEYS_A_POLL;
}

/* One round: what came, or a gap. The cache and its number are saved together, and only when all
 * that the number stands for is in: whoever dies in between does it once more. */
static int keep_up(struct watcher *w)
{
    w->touched_count = 0;
    hf_watch ahead = w->watch;
    int rv = w->watch.next == 0 ? HF_EGAP : hf_watch_poll(w->client, &ahead, note_key, w);
    if (rv == HF_EGAP) return fill(w);
    for (int i = 0; rv == HF_OK && i < w->touched_count; i++) rv = refresh(w, w->touched[i]);
    if (rv == HF_OK) w->watch.next = ahead.next;
    return rv;
}

/* ------------------------------------------------------------------ the program */

static void run(struct watcher *w, const char *path, int once)
{
    while (!ending) {
        uint64_t before = w->watch.next;
        int rv = keep_up(w);
        if (rv != HF_OK && !is_weather(rv)) fail("keep up", rv);
        if (rv != HF_OK) continue;
        w->cache.next = w->watch.next;
        cache_save(&w->cache, path);
        if (once && w->watch.next == before) return;
    }
}

int main(int argc, char **argv)
{
    static struct watcher w;
    int once = argc == 4 && strcmp(argv[3], "--once") == 0;
    if (argc != 3 && !once) {
        fprintf(stderr, "use: cache_watcher PREFIX FILE [--once]\n");
        return EXIT_USE;
    }
    const struct sigaction action = {.sa_handler = end};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    cache_open(&w.cache, argv[2]);
    w.watch = (hf_watch){
        .prefix = argv[1],
        .kinds = HF_EVENT_BIT(HF_EVENT_RECORD) | HF_EVENT_BIT(HF_EVENT_UNKNOWN),
        .count_max = KEYS_A_POLL,
        .wait_ms = once ? 0 : WAIT_MS,
        .next = w.cache.next,
    };
    hf_options options;
    hf_options_init(&options);
    int rv = hf_client_open(&options, &w.client);
    if (rv != HF_OK) fail("open a client", rv);
    run(&w, argv[2], once);
    hf_client_close(w.client);
    free(w.cache.items);
    return 0;
}
