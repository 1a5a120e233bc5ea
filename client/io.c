/* The I/O thread and the socket under it.
 *
 *   reading     the thread alone, when the socket is readable: core_received()
 *   writing     whoever has the lock and finds nobody writing: it takes the core's bytes, leaves
 *               the lock for the system call, and goes on while more was added meanwhile, so that
 *               many callers' requests leave in one piece and a lone one without a wake-up
 *   the timer   CLOCK_BOOTTIME (a timerfd), armed by whoever brings the core's wake_ns forward
 *   connecting  the thread alone: names are looked up in libuv's pool, addresses tried in turn
 *
 * The core's link.epoch says which connection it wants; io_follow() sees that it is another than
 * the socket's and wakes the thread, which closes one and makes the next. A descriptor that
 * somebody is writing to is closed by that writer. Errors of the socket are told to the core as a
 * lost connection and are nobody else's business; SIGPIPE is never raised. */
#include "client/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/thread.h"

enum { READ_BYTES = 64 * 1024, READS_MAX = 4, PORT_BYTES = 8 };

/** A poll handle lives until libuv has closed it, longer than its connection may. */
struct watch {
    uv_poll_t poll; /**< .data is the struct io */
    int fd;         /**< what it watches */
};

struct lookup {
    uv_getaddrinfo_t request; /**< .data is this struct */
    struct io *io;            /**< whose */
    uint64_t epoch;           /**< for which connection */
};

struct io {
    hf_client *client;     /**< whose lock guards what is marked (L) */
    pthread_t thread;      /**< runs the loop */
    uv_loop_t loop;        /**< the thread's */
    uv_async_t async;      /**< (L) wakes it */
    uv_poll_t timer_watch; /**< watches timer_fd */
    int timer_fd;          /**< (L) CLOCK_BOOTTIME */
    uint64_t armed_ns;     /**< (L) when it fires; CORE_NEVER */

    struct watch *watch;        /**< the connection's, or NULL; the thread's */
    int events;                 /**< what it waits for; the thread's */
    int fd;                     /**< (L) the socket; -1 = none */
    uint64_t epoch;             /**< (L) the core's link.epoch that fd, or the attempt, is for */
    struct addrinfo *addresses; /**< owned; of the server's name; the thread's */
    struct addrinfo *next;      /**< to be tried next; the thread's */
    bool connected;             /**< (L) fd stands */
    bool blocked;               /**< (L) the socket's buffer is full: wait until it is writable */
    bool writing;               /**< (L) somebody sends `wire` */
    bool stopping;              /**< (L) leave the loop */
    int doomed_fd;              /**< (L) to be closed by the one who writes; -1 = none */
    struct buffer wire;         /**< (L), and the writer's without it: bytes being sent */
    size_t wire_sent;           /**< (L) of them, so many are gone */
    uint64_t wire_epoch;        /**< (L) the connection that they are for */
    uint8_t input[READ_BYTES];  /**< the thread's */
};

/* ------------------------------------------------------------------ writing */

static bool may_write(const struct io *io)
{
    return io->connected && !io->blocked && io->epoch == io->client->core.link.epoch;
}

/* Have something in `wire`: the rest of it, or all that the core has. */
static bool load_wire(struct io *io)
{
    struct core *core = &io->client->core;
    if (io->wire_epoch != io->epoch)
        io->wire_sent = io->wire.size; /* of a connection that is gone */
    if (io->wire_sent < io->wire.size) return true;
    buffer_clear(&io->wire);
    io->wire_sent = 0;
    if (core->out.size == 0) return false;
    struct buffer taken = core->out;
    core->out = io->wire;
    io->wire = taken;
    io->wire_epoch = io->epoch;
    core_drained(core, shell_now(io->client));
    return true;
}

static void write_all(struct io *io)
{
    if (io->writing) return;
    io->writing = true;
    while (may_write(io) && load_wire(io)) {
        int fd = io->fd;
        const uint8_t *from = io->wire.data + io->wire_sent;
        size_t bytes = io->wire.size - io->wire_sent;
        pthread_mutex_unlock(&io->client->lock);
        ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        int error = sent < 0 ? errno : 0;
        pthread_mutex_lock(&io->client->lock);
        int doomed_fd = io->doomed_fd;
        io->doomed_fd = -1;
        if (doomed_fd >= 0) {
            close(doomed_fd); /* it was this one: the connection was left meanwhile */
        } else if (sent >= 0) {
            io->wire_sent += (size_t)sent;
        } else if (error != EINTR) {
            io->blocked = true; /* full, or broken: the thread will see which */
        }
    }
    io->writing = false;
}

/* ------------------------------------------------------------------ the timer */

static void arm(struct io *io, uint64_t at_ns)
{
    io->armed_ns = at_ns;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000),
                                           .tv_nsec = (long)(at_ns % 1000000000)}};
    if (at_ns == CORE_NEVER) when = (struct itimerspec){0};
    int rv = timerfd_settime(io->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    HF_ASSERT(rv == 0);
}

static void on_timer(uv_poll_t *handle, int status, int events)
{
    struct io *io = handle->data;
    uint64_t count;
    (void)status;
    (void)events;
    (void)!read(io->timer_fd, &count, sizeof count); /* a spurious wake-up finds nothing */
    pthread_mutex_lock(&io->client->lock);
    io->armed_ns = CORE_NEVER;
    core_tick(&io->client->core, shell_now(io->client));
    shell_leave(io->client);
}

/* ------------------------------------------------------------------ the connection */

static void free_watch(uv_handle_t *handle)
{
    free(HF_CONTAINER_OF((uv_poll_t *)handle, struct watch, poll));
}

static void close_fd(struct io *io)
{
    if (io->watch != NULL) {
        uv_close((uv_handle_t *)&io->watch->poll, free_watch);
        io->watch = NULL;
    }
    int fd = io->fd;
    io->fd = -1; /* before: a child that is forked in between must not close it a second time */
    if (fd >= 0 && io->writing && io->doomed_fd < 0) {
        io->doomed_fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    io->events = 0;
    io->connected = false;
    io->blocked = false;
}

static void drop_addresses(struct io *io)
{
    uv_freeaddrinfo(io->addresses);
    io->addresses = NULL;
    io->next = NULL;
}

static void try_next_address(struct io *io);

static void connection_made(struct io *io)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        try_next_address(io);
        return;
    }
    drop_addresses(io);
    io->connected = true;
    core_connected(&io->client->core, io->epoch, shell_now(io->client));
}

/* Enters and leaves with the lock. */
static void read_some(struct io *io)
{
    for (int i = 0; i < READS_MAX && io->connected && io->epoch == io->client->core.link.epoch;
         i++) {
        int fd = io->fd;
        pthread_mutex_unlock(&io->client->lock);
        ssize_t got = recv(fd, io->input, sizeof io->input, MSG_DONTWAIT);
        int error = got < 0 ? errno : 0;
        pthread_mutex_lock(&io->client->lock);
        if (got > 0) {
            struct slice bytes = slice_make(io->input, (size_t)got);
            core_received(&io->client->core, io->epoch, bytes, shell_now(io->client));
            if (got < (ssize_t)sizeof io->input) return;
        } else if (got == 0 || (error != EAGAIN && error != EWOULDBLOCK && error != EINTR)) {
            core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
            return;
        } else {
            return;
        }
    }
}

static void follow_core(struct io *io);

static void on_socket(uv_poll_t *handle, int status, int events)
{
    struct io *io = handle->data;
    pthread_mutex_lock(&io->client->lock);
    if (status < 0) {
        core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
    } else if (!io->connected) {
        connection_made(io);
    } else {
        if ((events & UV_WRITABLE) != 0) io->blocked = false;
        if ((events & UV_READABLE) != 0) read_some(io);
    }
    follow_core(io);
}

static void watch_events(struct io *io)
{
    if (io->watch == NULL) return;
    int events = !io->connected ? UV_WRITABLE : UV_READABLE | (io->blocked ? UV_WRITABLE : 0);
    if (events == io->events) return;
    io->events = events;
    if (uv_poll_start(&io->watch->poll, events, on_socket) != 0) {
        core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
        close_fd(io);
    }
}

void io_follow(struct io *io)
{
    struct core *core = &io->client->core;
    write_all(io);
    if (core->wake_ns < io->armed_ns) arm(io, core->wake_ns > 0 ? core->wake_ns : 1);
    bool own = io_is_own(io);
    if (own) watch_events(io);
    bool untold = !list_empty(&core->losses) || !list_empty(&core->asked);
    bool stale = io->epoch != core->link.epoch || untold;
    if (stale || (io->blocked && !own)) uv_async_send(&io->async);
}

bool io_is_own(const struct io *io)
{
    return pthread_equal(pthread_self(), io->thread) != 0;
}

void io_wake(struct io *io)
{
    uv_async_send(&io->async);
}

static bool start_watch(struct io *io)
{
    io->watch = calloc(1, sizeof *io->watch);
    if (io->watch == NULL) return false;
    io->watch->fd = io->fd;
    if (uv_poll_init(&io->loop, &io->watch->poll, io->fd) != 0) {
        free(io->watch);
        io->watch = NULL;
        return false;
    }
    io->watch->poll.data = io;
    io->events = 0;
    return true;
}

static bool try_address(struct io *io, const struct addrinfo *address)
{
    int one = 1;
    io->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (io->fd < 0) return false;
    (void)setsockopt(io->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(io->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)
        return false;
    return start_watch(io);
}

static void try_next_address(struct io *io)
{
    close_fd(io);
    while (io->next != NULL) {
        struct addrinfo *address = io->next;
        io->next = address->ai_next;
        if (try_address(io, address)) return; /* on_socket() hears of it */
        close_fd(io);
    }
    drop_addresses(io);
    core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *result)
{
    struct lookup *lookup = request->data;
    struct io *io = lookup->io;
    pthread_mutex_lock(&io->client->lock);
    if (io->stopping) {
        uv_freeaddrinfo(result);
        free(lookup);
        pthread_mutex_unlock(&io->client->lock);
        return;
    }
    if (lookup->epoch != io->epoch) {
        uv_freeaddrinfo(result);
    } else if (status != 0) {
        core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
    } else {
        io->addresses = io->next = result;
        try_next_address(io);
    }
    free(lookup);
    follow_core(io);
}

/* "host:port", "[v6]:port" */
static bool split_target(const char *target, char *host, char *port)
{
    const char *colon = strrchr(target, ':');
    if (colon == NULL || strlen(colon + 1) >= PORT_BYTES) return false;
    size_t bytes = (size_t)(colon - target);
    if (bytes >= 2 && target[0] == '[' && target[bytes - 1] == ']') {
        target += 1;
        bytes -= 2;
    }
    if (bytes == 0 || bytes > ADDRESS_BYTES_MAX) return false;
    memcpy(host, target, bytes);
    host[bytes] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static void connect_to(struct io *io, const char *target)
{
    char host[ADDRESS_BYTES_MAX + 1];
    char port[PORT_BYTES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    drop_addresses(io);
    if (split_target(target, host, port)) {
        if (getaddrinfo(host, port, &hints, &io->addresses) == 0) {
            io->next = io->addresses;
            try_next_address(io);
            return;
        }
        io->addresses = NULL;
        hints.ai_flags = AI_ADDRCONFIG;
        struct lookup *lookup = calloc(1, sizeof *lookup);
        if (lookup != NULL) {
            *lookup = (struct lookup){.io = io, .epoch = io->epoch};
            lookup->request.data = lookup;
            if (uv_getaddrinfo(&io->loop, &lookup->request, on_lookup, host, port, &hints) == 0)
                return;
            free(lookup);
        }
    }
    core_disconnected(&io->client->core, io->epoch, shell_now(io->client));
}

/* Make the socket what the core wants, until both agree; then leave the lock. */
static void follow_core(struct io *io)
{
    struct core *core = &io->client->core;
    for (int i = 0; i < CORE_ENDPOINTS_MAX && io->epoch != core->link.epoch; i++) {
        close_fd(io);
        io->epoch = core->link.epoch;
        if (core->link.state == LINK_CONNECTING) connect_to(io, core_target(core));
    }
    watch_events(io);
    shell_leave(io->client); /* io_follow() has us come again if they do not agree yet */
}

static void tell_losses(struct io *io)
{
    hf_client *client = io->client;
    struct grant_loss loss;
    while (core_take_loss(&client->core, &loss)) {
        if (client->lost_cb == NULL) continue;
        hf_loss told = {loss.token, loss.locally, loss.reason};
        pthread_mutex_unlock(&client->lock);
        client->telling = true;
        client->lost_cb(client, &told, client->lost_data);
        client->telling = false;
        pthread_mutex_lock(&client->lock);
    }
}

static void tell_asked(struct io *io)
{
    hf_client *client = io->client;
    struct grant_asked asked;
    while (core_take_asked(&client->core, &asked, shell_now(client))) {
        if (client->asked_cb == NULL) continue;
        hf_asked told = {asked.token, asked.left_ms};
        pthread_mutex_unlock(&client->lock);
        client->telling = true;
        client->asked_cb(client, &told, client->asked_data);
        client->telling = false;
        pthread_mutex_lock(&client->lock);
    }
}

static void close_handle(uv_handle_t *handle, void *data)
{
    struct io *io = data;
    if (uv_is_closing(handle)) return;
    bool ours = handle == (uv_handle_t *)&io->async || handle == (uv_handle_t *)&io->timer_watch;
    uv_close(handle, ours ? NULL : free_watch);
}

static void on_async(uv_async_t *handle)
{
    struct io *io = handle->data;
    pthread_mutex_lock(&io->client->lock);
    if (io->stopping) {
        close_fd(io);
        drop_addresses(io);
        pthread_mutex_unlock(&io->client->lock);
        shell_tell(io->client); /* what the last calls answered */
        uv_walk(&io->loop, close_handle, io);
        return;
    }
    tell_losses(io);
    tell_asked(io);
    follow_core(io);
}

/* ------------------------------------------------------------------ the thread */

static void *run(void *data)
{
    struct io *io = data;
    shell_be_io_thread();
    uv_run(&io->loop, UV_RUN_DEFAULT);
    return NULL;
}

static int open_loop(struct io *io)
{
    if (uv_loop_init(&io->loop) != 0) return HF_EIO;
    if (uv_async_init(&io->loop, &io->async, on_async) == 0) {
        io->async.data = io;
        if (uv_poll_init(&io->loop, &io->timer_watch, io->timer_fd) == 0) {
            io->timer_watch.data = io;
            if (uv_poll_start(&io->timer_watch, UV_READABLE, on_timer) == 0) return HF_OK;
        }
    }
    uv_walk(&io->loop, close_handle, io);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    uv_loop_close(&io->loop);
    return HF_EIO;
}

int io_start(hf_client *client)
{
    struct io *io = calloc(1, sizeof *io);
    if (io == NULL) return HF_ENOMEM;
    io->client = client;
    io->fd = io->doomed_fd = -1;
    io->armed_ns = CORE_NEVER;
    buffer_init(&io->wire, client->core.out.bytes_max);
    io->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    int rv = io->timer_fd >= 0 ? open_loop(io) : HF_EIO;
    if (rv == HF_OK) {
        client->io = io;
        rv = thread_start(&io->thread, run, io) ? HF_OK : HF_EIO;
        if (rv == HF_OK) return HF_OK;
        client->io = NULL;
        uv_walk(&io->loop, close_handle, io);
        uv_run(&io->loop, UV_RUN_DEFAULT);
        uv_loop_close(&io->loop);
    }
    if (io->timer_fd >= 0) close(io->timer_fd);
    free(io);
    return rv;
}

void io_stop(hf_client *client, bool forked)
{
    struct io *io = client->io;
    if (!forked) {
        pthread_mutex_lock(&client->lock);
        io->stopping = true;
        pthread_mutex_unlock(&client->lock);
        uv_async_send(&io->async);
        pthread_join(io->thread, NULL);
        int rv = uv_loop_close(&io->loop);
        HF_ASSERT(rv == 0);
    }
    if (io->fd >= 0) close(io->fd); /* a child's own descriptor: the parent's stays open */
    close(io->timer_fd);
    if (forked) { /* the thread that was in the midst of something is not here to end it */
        if (io->doomed_fd >= 0) close(io->doomed_fd);
        close(uv_backend_fd(&io->loop));
        return;
    }
    buffer_close(&io->wire);
    free(io);
    client->io = NULL;
}
