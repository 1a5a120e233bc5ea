/* See the header. */
#include "tests/sim/recording.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum { LINE_BYTES_MAX = 4096, NAME_BYTES = 32, HEAD_BYTES = 128 };

static uint64_t now(void *data)
{
    const struct sim *sim = data;
    return sim->trace.now_ns;
}

static void put(void *data, struct slice line)
{
    const struct sim *sim = data;
    const struct recording *r = &sim->recording;
    if (fwrite(line.data, 1, line.size, r->file) != line.size)
        sim_fail("the history's file %s takes no more", r->path);
}

/* FORCE and REVOKE have no line, nor has TXN, so what others were told of such a lock or record has
 * no reason in it: of these nothing is written (docs/history-format.md). */
static bool is_left_out(const struct swarm *w, struct slice line)
{
    static const char lock_key[] = "\"key\":\"lock-";
    static const char record_key[] = "\"key\":\"record-";
    bool no_locks = (w->admin_acts & (1U << ADMIN_FORCE | 1U << ADMIN_REVOKE)) != 0;
    bool no_records = w->script_weight[SCRIPT_TXN] != 0;
    char head[HEAD_BYTES]; /* the model and the key are at its beginning */
    size_t size = line.size < sizeof head - 1 ? line.size : sizeof head - 1;
    memcpy(head, line.data, size);
    head[size] = '\0';
    return (no_locks && strstr(head, lock_key) != NULL) ||
           (no_records && strstr(head, record_key) != NULL);
}

static void put_call(void *data, struct slice line)
{
    const struct sim *sim = data;
    if (!is_left_out(&sim->swarm, line)) put(data, line);
}

static void broken(void *data)
{
    (void)data;
    sim_fail("a client's recorder leaves out a line");
}

void recording_open(struct sim *sim, const char *path)
{
    struct recording *r = &sim->recording;
    struct buffer header;
    if (path == NULL) return;
    r->path = path;
    r->file = fopen(path, "we");
    if (r->file == NULL) sim_fail("the history's file %s cannot be made", path);
    r->sink = (struct recorder_sink){
        .now_cb = now, .line_cb = put_call, .broken_cb = broken, .data = sim};
    buffer_init(&header, LINE_BYTES_MAX);
    int rv = recorder_header_write(&header, (uint64_t)sim->swarm.rate_ppm_max, sim->seed);
    HF_ASSERT(rv == HF_OK);
    put(sim, buffer_slice(&header));
    buffer_close(&header);
}

void recording_close(struct recording *r)
{
    if (r->file == NULL) return;
    bool whole = fflush(r->file) == 0 && ferror(r->file) == 0;
    if (fclose(r->file) != 0 || !whole) sim_fail("the history's file %s is not whole", r->path);
    r->file = NULL;
}

struct recorder_sink *recording_sink(struct sim *sim)
{
    return sim->recording.file != NULL ? &sim->recording.sink : NULL;
}

/* An op on a register happens at one moment of true time. */
static void write_line(const struct sim_task *t, uint32_t lock, struct recorder_line *line)
{
    struct sim *sim = t->client->sim;
    struct buffer out;
    char client[NAME_BYTES];
    int size = snprintf(client, sizeof client, "c%" PRIu32 "/task %" PRIu32, t->client->index + 1,
                        t->index);
    HF_ASSERT(size > 0 && (size_t)size < sizeof client);
    line->model = "fencedreg";
    line->id = ++sim->recording.sink.id_last;
    line->client = slice_of(client);
    line->key = task_lock_name(lock);
    line->call_ns = line->ret_ns = sim->trace.now_ns;
    buffer_init(&out, LINE_BYTES_MAX);
    int rv = recorder_line_write(&out, line);
    HF_ASSERT(rv == HF_OK);
    put(sim, buffer_slice(&out));
    buffer_close(&out);
}

static void add_value(struct recorder_members *m, uint64_t value)
{
    char text[NAME_BYTES];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    recorder_text(m, "value", text);
}

void recording_wrote(const struct sim_task *t, uint32_t lock, uint64_t value, bool accepted)
{
    if (t->client->sim->recording.file == NULL) return;
    struct recorder_line line = {.op = "write",
                                 .outcome = accepted ? RECORDED_OK : RECORDED_FAIL,
                                 .error = accepted ? NULL : "stale_token"};
    recorder_number(&line.args, "token", t->token);
    add_value(&line.args, value);
    write_line(t, lock, &line);
}

void recording_read(const struct sim_task *t, uint32_t lock, uint64_t value)
{
    if (t->client->sim->recording.file == NULL) return;
    struct recorder_line line = {.op = "read"};
    add_value(&line.result, value);
    write_line(t, lock, &line);
}
