/* stockpipeline_native: the ticks that change nothing but a forming bar, without Python.

   Batch holds the lanes of a detector's symbols and takes messages off a list, or off what an Inbox has handed
   over, as long as they are plain ticks of known symbols that lane_take can deal with; Python gets all others,
   in their order. */

#include "inbox.h"
#include "lane.h"

typedef struct {
    const char *symbol; /* of the lane's own str, NULL where the place is free */
    Py_ssize_t length;
    Lane *lane;
} Place;

typedef struct {
    PyObject_HEAD
    PyObject *lanes;
    Place *places;
    size_t mask;
    double *now;
    long long *latest_ms; /* by partition: the latest event time that is plausible */
    long partitions;
    unsigned long long batch;
    PyTypeObject *message_type;
    PyObject *value, *partition; /* its methods */
} Batch;

static size_t hash_of(const char *text, Py_ssize_t length) {
    size_t hash = 14695981039346656037ULL; /* FNV-1a */
    for (Py_ssize_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211ULL;
    }
    return hash ^ hash >> 29;
}

/* Of a few characters: shorter than a call. */
static int same(const char *one, const char *other, Py_ssize_t length) {
    Py_ssize_t i = 0;
    while (i < length && one[i] == other[i]) {
        i++;
    }
    return i == length;
}

static Lane *find(const Batch *self, const char *symbol, Py_ssize_t length) {
    for (size_t at = hash_of(symbol, length) & self->mask;; at = (at + 1) & self->mask) {
        const Place *place = &self->places[at];
        if (place->symbol == NULL) {
            return NULL;
        }
        if (place->length == length && same(place->symbol, symbol, length)) {
            return place->lane;
        }
    }
}

/* Find the methods of this kind of message, so as not to look them up for each of them. */
static int know_type(Batch *self, PyTypeObject *type) {
    if (self->message_type == type) {
        return 1;
    }
    Py_CLEAR(self->value);
    Py_CLEAR(self->partition);
    self->message_type = NULL;
    self->value = PyObject_GetAttrString((PyObject *)type, "value");
    self->partition = PyObject_GetAttrString((PyObject *)type, "partition");
    if (self->value == NULL || self->partition == NULL) {
        return 0;
    }
    self->message_type = type;
    return 1;
}

/* What is needed of a message. */
typedef struct {
    const char *value; /* NULL: no tick */
    Py_ssize_t length;
    long partition;
    PyObject *owner; /* of the value; NULL where the list of messages is */
} View;

static View view_of_record(const Record *record) {
    /* The value of a record that stands for an error is the error's text: no tick. */
    return (View){record->error ? NULL : record->value, (Py_ssize_t)record->value_length, record->partition, NULL};
}

/* Look at any object with the methods value and partition; returns 0 for an exception. */
static int view_of_object(Batch *self, PyObject *message, View *view) {
    if (!know_type(self, Py_TYPE(message))) {
        return 0;
    }
    PyObject *value = PyObject_CallOneArg(self->value, message);
    PyObject *partition = value == NULL ? NULL : PyObject_CallOneArg(self->partition, message);
    long number = partition == NULL ? -1 : PyLong_AsLong(partition);
    Py_XDECREF(partition);
    if (number == -1 && PyErr_Occurred()) {
        Py_XDECREF(value);
        return 0;
    }
    int is_bytes = PyBytes_Check(value);
    *view = (View){is_bytes ? PyBytes_AS_STRING(value) : NULL, is_bytes ? PyBytes_GET_SIZE(value) : 0, number,
                   value};
    return 1;
}

/* Returns 1 for a tick that was taken, 0 for a message that is for Python, -1 for an exception. */
static int take_one(Batch *self, const View *view, PyObject *changed) {
    Tick tick;
    if (view->value == NULL || !tick_read(view->value, view->length, &tick)) {
        return 0;
    }
    Lane *lane = find(self, tick.symbol, tick.symbol_length);
    if (lane == NULL || view->partition != lane->partition || tick.ts > self->latest_ms[lane->partition] ||
        !lane_take(lane, &tick, self->now)) {
        return 0;
    }
    if (lane->changed_in != self->batch) {
        lane->changed_in = self->batch;
        return PyList_Append(changed, lane->symbol) < 0 ? -1 : 1;
    }
    return 1;
}

static PyObject *batch_take(Batch *self, PyObject *args) {
    PyObject *messages, *changed;
    Py_ssize_t at;
    if (!PyArg_ParseTuple(args, "OnO!", &messages, &at, &PyList_Type, &changed)) {
        return NULL;
    }
    int raw = Py_IS_TYPE(messages, &MessagesType);
    if (!raw && !PyList_Check(messages)) {
        return PyErr_Format(PyExc_TypeError, "neither Messages nor a list but %R", (PyObject *)Py_TYPE(messages));
    }
    self->batch++;
    int taken = 1;
    for (; at < Py_SIZE(messages); at++) {
        View view;
        if (raw) {
            view = view_of_record(((Messages *)messages)->records[at]);
        } else if (!view_of_object(self, PyList_GET_ITEM(messages, at), &view)) {
            return NULL;
        }
        taken = take_one(self, &view, changed);
        Py_XDECREF(view.owner); /* the symbol's text with it */
        if (taken != 1) {
            break;
        }
    }
    return taken < 0 ? NULL : PyLong_FromSsize_t(at);
}

static void drop_places(Batch *self) {
    PyMem_Free(self->places);
    self->places = NULL;
    Py_CLEAR(self->lanes);
}

static int fill_places(Batch *self, PyObject *lanes, PyObject *partitions) {
    size_t size = 8;
    while (size < 2 * (size_t)PyDict_GET_SIZE(lanes)) {
        size *= 2;
    }
    self->places = PyMem_Calloc(size, sizeof(Place));
    if (self->places == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    self->mask = size - 1;
    self->lanes = Py_NewRef(lanes);
    PyObject *key, *item;
    for (Py_ssize_t position = 0; PyDict_Next(lanes, &position, &key, &item);) {
        PyObject *partition = PyDict_GetItemWithError(partitions, key);
        if (!PyObject_TypeCheck(item, &LaneType) || partition == NULL) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_TypeError, "a symbol has no Lane or no partition");
            }
            return 0;
        }
        Lane *lane = (Lane *)item;
        Place place = {.lane = lane};
        place.symbol = PyUnicode_AsUTF8AndSize(lane->symbol, &place.length);
        lane->partition = PyLong_AsLong(partition);
        if (place.symbol == NULL || (lane->partition == -1 && PyErr_Occurred())) {
            return 0;
        }
        if (lane->partition < 0 || lane->partition >= self->partitions) {
            PyErr_SetString(PyExc_ValueError, "no such partition");
            return 0;
        }
        size_t at = hash_of(place.symbol, place.length) & self->mask;
        while (self->places[at].symbol != NULL) {
            at = (at + 1) & self->mask;
        }
        self->places[at] = place;
    }
    return 1;
}

static PyObject *batch_own(Batch *self, PyObject *args) {
    PyObject *lanes, *partitions;
    if (!PyArg_ParseTuple(args, "O!O!", &PyDict_Type, &lanes, &PyDict_Type, &partitions)) {
        return NULL;
    }
    drop_places(self);
    memset(self->latest_ms, 0, (size_t)self->partitions * sizeof(long long));
    /* Nobody else may change the dictionary that keeps the lanes alive. */
    PyObject *copy = PyDict_Copy(lanes);
    int fine = copy != NULL && fill_places(self, copy, partitions);
    Py_XDECREF(copy);
    if (!fine) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *batch_admit(Batch *self, PyObject *args) {
    long partition;
    long long latest_ms;
    if (!PyArg_ParseTuple(args, "lL", &partition, &latest_ms)) {
        return NULL;
    }
    if (partition >= 0 && partition < self->partitions) {
        self->latest_ms[partition] = latest_ms;
    }
    Py_RETURN_NONE;
}

static PyObject *batch_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    Py_ssize_t width;
    long partitions;
    if (!PyArg_ParseTuple(args, "nl", &width, &partitions)) {
        return NULL;
    }
    if (width < BAR_FIELDS || partitions < 1) {
        PyErr_SetString(PyExc_ValueError, "a vector has the bar's fields, a topic has a partition");
        return NULL;
    }
    Batch *self = (Batch *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->places = PyMem_Calloc(1, sizeof(Place));
    /* A stream writes all of its outputs, whatever its function has. */
    self->now = PyMem_Calloc((size_t)width + MAX_OUTPUTS, sizeof(double));
    self->latest_ms = PyMem_Calloc((size_t)partitions, sizeof(long long));
    self->partitions = partitions;
    if (!self->places || !self->now || !self->latest_ms) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void batch_dealloc(Batch *self) {
    drop_places(self);
    PyMem_Free(self->now);
    PyMem_Free(self->latest_ms);
    Py_XDECREF(self->value);
    Py_XDECREF(self->partition);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef batch_methods[] = {
    {"own", (PyCFunction)batch_own, METH_VARARGS,
     "own(lanes, partitions): take ticks of these symbols from now on; symbol -> Lane, symbol -> partition."},
    {"admit", (PyCFunction)batch_admit, METH_VARARGS,
     "admit(partition, latest_ms): leave ticks with a later event time to Python; at first, all of them."},
    {"take", (PyCFunction)batch_take, METH_VARARGS,
     "take(messages, start, changed): take ticks of Messages, or of a list of objects with the methods value\n"
     "and partition, from position start on.\n\n"
     "Returns the position of the first message that is for Python, or the end; appends to changed the\n"
     "symbols whose bars were revised."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject BatchType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Batch",
    .tp_doc = "Batch(width, partitions): the symbols of a detector; vectors have width values; see module.c.",
    .tp_basicsize = sizeof(Batch),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = batch_new,
    .tp_dealloc = (destructor)batch_dealloc,
    .tp_methods = batch_methods,
};

static PyObject *read_tick(PyObject *Py_UNUSED(module), PyObject *value) {
    Tick tick;
    if (!PyBytes_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "not bytes");
        return NULL;
    }
    if (!tick_read(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &tick)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("s#ddLL", tick.symbol, tick.symbol_length, tick.price, tick.volume, tick.ts, tick.seq);
}

static PyMethodDef module_methods[] = {
    {"read_tick", read_tick, METH_O,
     "read_tick(data): (symbol, price, volume, ts, seq or 0) of a plain tick, None for all else."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stockpipeline_native",
    .m_doc = "The ticks that change nothing but a forming bar, without Python.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit_stockpipeline_native(void) {
    PyObject *self = PyModule_Create(&module);
    PyTypeObject *types[] = {&TapeType, &ProgramType, &StreamType, &LaneType, &BatchType,
                             &InboxType, &MessagesType};
    for (size_t i = 0; self != NULL && i < sizeof types / sizeof *types; i++) {
        if (PyModule_AddType(self, types[i]) < 0) {
            Py_CLEAR(self);
        }
    }
    return self;
}
