/* Running reads, see look.h. Those that were begun stand in client->looks until they have ended, so
 * that hf_call_cancel() finds them between two pages, too. */
#include "client/look.h"

#include <stdlib.h>

int look_new(hf_client *client, uint16_t op, size_t arena_bytes, int (*show_cb)(struct look *look),
             struct look **out)
{
    if (client == NULL) return HF_EINVAL;
    struct look *look = calloc(1, sizeof *look);
    if (look == NULL) return HF_ENOMEM;
    if (arena_init(&look->arena, arena_bytes) != HF_OK) {
        free(look);
        return HF_ENOMEM;
    }
    look->client = client;
    look->op = op;
    look->show_cb = show_cb;
    list_init(&look->link);
    buffer_init(&look->reply, FRAME_BYTES_MAX);
    *out = look;
    return HF_OK;
}

int look_keep(char to[NAME_BYTES_MAX + 1], const char *text, struct slice *out)
{
    size_t size = text != NULL ? strlen(text) : 0;
    if (size > NAME_BYTES_MAX) return HF_EINVAL;
    if (size > 0) memcpy(to, text, size);
    to[size] = '\0';
    *out = slice_make(to, size);
    return HF_OK;
}

static void free_look(struct look *look)
{
    buffer_close(&look->reply);
    arena_close(&look->arena);
    free(look);
}

int look_drop(struct look *look, int why)
{
    HF_ASSERT(why != HF_OK);
    free_look(look);
    return why;
}

int look_show_page(struct look *look)
{
    return raw_pages_show(&look->ask.pages, &look->reply, &look->arena);
}

/* A list's request stands where a single read's does not. */
static const void *request_of(const struct look *look)
{
    return raw_is_list(look->op) ? (const void *)&look->ask.pages.request
                                 : (const void *)&look->ask;
}

int look_run(struct look *look, int made)
{
    if (made != HF_OK) return made;
    int rv;
    do {
        rv = raw_wait(look->client, look->op, request_of(look), look->wait_ms, &look->reply);
        if (rv == HF_OK) rv = look->show_cb(look);
    } while (rv == RAW_MORE);
    free_look(look);
    return rv;
}

/* ------------------------------------------------------------------ on the I/O thread */

static void page_done(int status, void *data);

static int ask(struct look *look)
{
    const struct ending to = {.done_cb = page_done, .data = look, .call = &look->page};
    return raw_start(look->client, look->op, request_of(look), look->wait_ms, &look->reply, &to);
}

static bool is_cancelled(struct look *look)
{
    pthread_mutex_lock(&look->client->lock);
    bool cancelled = look->cancelled;
    pthread_mutex_unlock(&look->client->lock);
    return cancelled;
}

static void page_done(int status, void *data)
{
    struct look *look = data;
    if (status == HF_OK) status = look->show_cb(look);
    if (status == RAW_MORE) {
        status = is_cancelled(look) ? HF_ECANCELLED : ask(look);
        if (status == HF_OK) return; /* the next page comes here */
    }
    pthread_mutex_lock(&look->client->lock);
    list_remove(&look->link);
    pthread_mutex_unlock(&look->client->lock);
    hf_done_cb done_cb = look->done_cb;
    void *done_data = look->data;
    free_look(look);
    done_cb(status, done_data);
}

int look_start(struct look *look, int made, hf_done_cb done_cb, void *data, hf_call *call)
{
    if (made != HF_OK) return made;
    hf_client *client = look->client;
    int rv = done_cb != NULL ? shell_enter(client) : HF_EINVAL;
    if (rv != HF_OK) {
        free_look(look);
        return rv;
    }
    look->done_cb = done_cb;
    look->data = data;
    look->id = LOOK_ID | ++client->look_last;
    list_push_back(&client->looks, &look->link);
    if (call != NULL) *call = (hf_call){client, look->id};
    pthread_mutex_unlock(&client->lock);
    rv = ask(look);
    if (rv == HF_OK) return HF_OK; /* it may have ended by now */
    pthread_mutex_lock(&client->lock);
    list_remove(&look->link);
    pthread_mutex_unlock(&client->lock);
    free_look(look);
    return rv;
}

/* ------------------------------------------------------------------ cancelling */

static void cancel(struct look *look)
{
    struct core *core = &look->client->core;
    uint64_t now_ns = shell_now(look->client);
    struct call *call = core_call_pending(core, look->page.id);
    look->cancelled = true;
    if (call != NULL) core_call_interrupt(core, call, CORE_NEVER, now_ns);
}

bool look_cancel(hf_client *client, uint64_t id)
{
    LIST_FOR(item, &client->looks)
    {
        struct look *look = HF_CONTAINER_OF(item, struct look, link);
        if (look->id != id) continue;
        cancel(look);
        return true;
    }
    return false;
}

void look_cancel_all(hf_client *client)
{
    LIST_FOR(item, &client->looks) cancel(HF_CONTAINER_OF(item, struct look, link));
}
