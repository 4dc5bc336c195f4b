/* What a consumer's partitions receive, without a Python object for each message.

   confluent-kafka makes one, with copies of topic, key and value, which costs more than all that is done with a
   plain tick. Inbox takes messages from where librdkafka's client puts them: every partition has a queue of its own,
   which rd_kafka_queue_forward keeps apart from the consumer's. That one keeps whatever calls back (rebalances,
   statistics, errors of the client), for the consumer's own poll. All of them write to one eventfd when something
   comes.

   A client that is closed with one of its messages or queues in use never ends. So messages are good until the next
   are taken, or the inbox is closed; then there are none in what was handed over.

   The functions are librdkafka's public ones. Of confluent-kafka's object one thing is needed that it does not
   show: the client, the first member of its struct Handle. */

#include "inbox.h"

#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef void *(*QueueOfConsumer)(void *client);
typedef void *(*QueueOfPartition)(void *client, const char *topic, int32_t partition);
typedef void (*QueueForward)(void *from, void *to);
typedef void (*QueueEvents)(void *queue, int file, const void *payload, size_t size);
typedef void (*QueueDestroy)(void *queue);
typedef Py_ssize_t (*ConsumeBatch)(void *queue, int timeout_ms, Record **records, size_t most);
typedef void (*Destroy)(Record *record);
typedef int64_t (*Timestamp)(const Record *record, int *kind);
typedef const char *(*TopicName)(const void *topic);
typedef const char *(*ErrorText)(const Record *record);

#define FUNCTIONS 10

typedef struct {
    PyObject_HEAD
    void *client;
} Handle;

typedef struct {
    int32_t partition;
    void *queue;
} Place;

struct Inbox {
    PyObject_VAR_HEAD /* as many messages as are taken at once */
    PyObject *consumer; /* must not go before its queues */
    PyObject *make;
    Messages *latest;
    int events; /* an eventfd; -1: closed */
    void *own;  /* the consumer's queue */
    Place *places;
    Py_ssize_t place_count, next; /* next: the place to begin at, so that none is always the last */
    QueueOfPartition queue_of_partition;
    QueueForward queue_forward;
    QueueEvents queue_events;
    QueueDestroy queue_destroy;
    ConsumeBatch consume_batch;
    Destroy destroy;
    Timestamp timestamp;
    TopicName topic_name;
    ErrorText error_text;
    Record *arrived[];
};

static const uint64_t ONE = 1;

static void *client_of(PyObject *consumer) { return ((Handle *)consumer)->client; }

static PyObject *inbox_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *consumer, *make;
    unsigned long long at[FUNCTIONS];
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "O(KKKKKKKKKK)nO", &consumer, &at[0], &at[1], &at[2], &at[3], &at[4], &at[5],
                          &at[6], &at[7], &at[8], &at[9], &most, &make)) {
        return NULL;
    }
    int complete = most > 0 && Py_TYPE(consumer)->tp_basicsize >= (Py_ssize_t)sizeof(Handle) &&
                   client_of(consumer) != NULL;
    for (int i = 0; i < FUNCTIONS; i++) {
        complete = complete && at[i] != 0;
    }
    if (!complete) {
        PyErr_SetString(PyExc_ValueError, "not a consumer, librdkafka's functions and a number of messages");
        return NULL;
    }
    int events = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (events < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Inbox *self = (Inbox *)type->tp_alloc(type, most);
    if (self == NULL) {
        close(events);
        return NULL;
    }
    self->events = events;
    self->consumer = Py_NewRef(consumer);
    self->make = Py_NewRef(make);
    self->queue_of_partition = (QueueOfPartition)(uintptr_t)at[1];
    self->queue_forward = (QueueForward)(uintptr_t)at[2];
    self->queue_events = (QueueEvents)(uintptr_t)at[3];
    self->queue_destroy = (QueueDestroy)(uintptr_t)at[4];
    self->consume_batch = (ConsumeBatch)(uintptr_t)at[5];
    self->destroy = (Destroy)(uintptr_t)at[6];
    self->timestamp = (Timestamp)(uintptr_t)at[7];
    self->topic_name = (TopicName)(uintptr_t)at[8];
    self->error_text = (ErrorText)(uintptr_t)at[9];
    self->own = ((QueueOfConsumer)(uintptr_t)at[0])(client_of(consumer));
    self->queue_events(self->own, events, &ONE, sizeof ONE);
    return (PyObject *)self;
}

/* Give the client back what was taken last. */
static void release(Inbox *self) {
    if (self->latest != NULL) {
        for (Py_ssize_t i = 0; i < Py_SIZE(self->latest); i++) {
            self->destroy(self->latest->records[i]);
        }
        Py_SET_SIZE(self->latest, 0);
        Py_CLEAR(self->latest);
    }
}

static void let_go(Inbox *self, void *queue) {
    self->queue_events(queue, -1, NULL, 0);
    self->queue_destroy(queue); /* this reference to it */
}

static void close_all(Inbox *self) {
    if (self->events < 0) {
        return;
    }
    release(self);
    for (Py_ssize_t i = 0; i < self->place_count; i++) {
        let_go(self, self->places[i].queue);
    }
    let_go(self, self->own);
    PyMem_Free(self->places);
    self->places = NULL;
    self->place_count = 0;
    close(self->events);
    self->events = -1;
}

static PyObject *inbox_close(Inbox *self, PyObject *Py_UNUSED(args)) {
    close_all(self);
    Py_RETURN_NONE;
}

static void inbox_dealloc(Inbox *self) {
    close_all(self);
    Py_XDECREF(self->make);
    Py_XDECREF(self->consumer);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int is_open(const Inbox *self) {
    if (self->events < 0) {
        PyErr_SetString(PyExc_ValueError, "the inbox is closed");
    }
    return self->events >= 0;
}

static Place *place_of(Inbox *self, int32_t partition) {
    for (Py_ssize_t i = 0; i < self->place_count; i++) {
        if (self->places[i].partition == partition) {
            return &self->places[i];
        }
    }
    Place *places = PyMem_Realloc(self->places, ((size_t)self->place_count + 1) * sizeof(Place));
    if (places == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->places = places;
    places[self->place_count] = (Place){partition, NULL};
    return &places[self->place_count];
}

static PyObject *inbox_follow(Inbox *self, PyObject *args) {
    const char *topic;
    int partition;
    if (!PyArg_ParseTuple(args, "si", &topic, &partition) || !is_open(self)) {
        return NULL;
    }
    Place *place = place_of(self, partition);
    if (place == NULL) {
        return NULL;
    }
    void *queue = self->queue_of_partition(client_of(self->consumer), topic, partition);
    if (queue == NULL) {
        return PyErr_Format(PyExc_RuntimeError, "%s/%d has no queue", topic, partition);
    }
    self->queue_forward(queue, NULL);
    self->queue_events(queue, self->events, &ONE, sizeof ONE);
    if (place->queue != NULL) {
        self->queue_destroy(place->queue); /* the same, or that of a former assignment */
    } else {
        self->place_count++;
    }
    place->queue = queue;
    Py_RETURN_NONE;
}

/* Take what is there, from each partition's queue in turn; returns how many. */
static Py_ssize_t collect(Inbox *self) {
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < self->place_count && count < Py_SIZE(self); i++) {
        const Place *place = &self->places[(self->next + i) % self->place_count];
        Py_ssize_t more =
            self->consume_batch(place->queue, 0, self->arrived + count, (size_t)(Py_SIZE(self) - count));
        count += more > 0 ? more : 0;
    }
    self->next = self->place_count > 0 ? (self->next + 1) % self->place_count : 0;
    return count;
}

static Py_ssize_t wait_and_collect(Inbox *self, int timeout_ms) {
    Py_ssize_t count = collect(self);
    if (count == 0 && timeout_ms > 0) {
        struct pollfd waiting = {.fd = self->events, .events = POLLIN};
        uint64_t number;
        if (poll(&waiting, 1, timeout_ms) > 0 && read(self->events, &number, sizeof number) > 0) {
            count = collect(self);
        }
    }
    return count;
}

static PyObject *inbox_take(Inbox *self, PyObject *argument) {
    double seconds = PyFloat_AsDouble(argument);
    if ((seconds == -1.0 && PyErr_Occurred()) || !is_open(self)) {
        return NULL;
    }
    int timeout_ms = seconds > 0.0 ? (int)ceil(fmin(seconds, 3600.0) * 1000.0) : 0;
    Py_ssize_t count;
    release(self);
    Py_BEGIN_ALLOW_THREADS;
    count = wait_and_collect(self, timeout_ms);
    Py_END_ALLOW_THREADS;
    Messages *messages = (Messages *)MessagesType.tp_alloc(&MessagesType, count);
    if (messages == NULL) {
        for (Py_ssize_t i = 0; i < count; i++) {
            self->destroy(self->arrived[i]);
        }
        return NULL;
    }
    messages->inbox = self;
    memcpy(messages->records, self->arrived, (size_t)count * sizeof(Record *));
    self->latest = (Messages *)Py_NewRef((PyObject *)messages);
    return (PyObject *)messages;
}

static PyMethodDef inbox_methods[] = {
    {"follow", (PyCFunction)inbox_follow, METH_VARARGS,
     "follow(topic, partition): have this partition's messages come here.\n\n"
     "To be called whenever it is assigned; all partitions are of one topic."},
    {"take", (PyCFunction)inbox_take, METH_O,
     "take(seconds): take the messages that have arrived, as Messages.\n\n"
     "Waits at most so long for one, or for something to come to the consumer's own queue. Those that were taken\n"
     "before are gone then."},
    {"close", (PyCFunction)inbox_close, METH_NOARGS, "To be called before the consumer is closed."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject InboxType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Inbox",
    .tp_doc = "Inbox(consumer, functions, most, make): the queues of a consumer's partitions; see inbox.c.\n\n"
              "functions: addresses, as stockpipeline.adapters.kafka_inbox finds them; most: messages that\n"
              "are taken at once; make(topic, partition, offset, key, value, timestamp, error, text): the\n"
              "Python object of a message.",
    .tp_basicsize = offsetof(Inbox, arrived),
    .tp_itemsize = sizeof(Record *),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = inbox_new,
    .tp_dealloc = (destructor)inbox_dealloc,
    .tp_methods = inbox_methods,
};

static Py_ssize_t messages_length(Messages *self) { return Py_SIZE(self); }

static PyObject *messages_item(Messages *self, Py_ssize_t at) {
    if (at < 0 || at >= Py_SIZE(self)) {
        PyErr_SetString(PyExc_IndexError, "there are fewer messages");
        return NULL;
    }
    const Inbox *inbox = self->inbox;
    const Record *record = self->records[at];
    int kind;
    long long timestamp = inbox->timestamp(record, &kind);
    /* The value of an error is its text. */
    return PyObject_CallFunction(
        inbox->make, "siLy#y#(iL)iz", record->topic == NULL ? "" : inbox->topic_name(record->topic),
        (int)record->partition, (long long)record->offset, record->key, (Py_ssize_t)record->key_length,
        record->error ? NULL : record->value, (Py_ssize_t)record->value_length, kind, timestamp,
        record->error, record->error ? inbox->error_text(record) : NULL);
}

static PyObject *messages_positions(Messages *self, PyObject *Py_UNUSED(args)) {
    PyObject *positions = PyDict_New();
    Py_ssize_t count = Py_SIZE(self);
    for (Py_ssize_t i = 0; positions != NULL && i < count; i++) {
        const Record *record = self->records[i], *next = i + 1 < count ? self->records[i + 1] : NULL;
        if (record->error || (next != NULL && !next->error && next->partition == record->partition)) {
            continue; /* a later one tells */
        }
        PyObject *partition = PyLong_FromLong(record->partition);
        PyObject *position = PyLong_FromLongLong(record->offset + 1);
        if (partition == NULL || position == NULL || PyDict_SetItem(positions, partition, position) < 0) {
            Py_CLEAR(positions);
        }
        Py_XDECREF(partition);
        Py_XDECREF(position);
    }
    return positions;
}

static PyMethodDef messages_methods[] = {
    {"positions", (PyCFunction)messages_positions, METH_NOARGS,
     "positions(): the offset after the last of these messages, for each partition that has any."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods messages_as_sequence = {
    .sq_length = (lenfunc)messages_length,
    .sq_item = (ssizeargfunc)messages_item,
};

PyTypeObject MessagesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Messages",
    .tp_doc = "A sequence of messages, each of which becomes a Python object when it is asked for.",
    .tp_basicsize = offsetof(Messages, records),
    .tp_itemsize = sizeof(Record *),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = messages_methods,
    .tp_as_sequence = &messages_as_sequence,
};
