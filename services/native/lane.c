/* What most ticks do: revise the forming bar, without any rule having anything to say about it.

   lane_take follows SymbolDetector.on_tick and Evaluator.evaluate step by step, and gives up, without having
   changed anything, where more is to be done than that. So Python decides whatever matters, and there is
   nothing that could be decided in two ways. */

#include "lane.h"

#include <stddef.h>
#include <structmember.h>

static int duplicate_or_unclear(const Tape *tape, const Tick *tick) {
    if (tick->seq != 0) {
        return tick->seq != tape->newest_number + 1;
    }
    return tick->ts == tape->trade_ms && tick->price == tape->trade_price &&
           tick->volume == tape->trade_volume;
}

static int anything_holds(const Lane *lane, double *now) {
    for (Py_ssize_t i = 0; i < lane->column_count; i++) {
        const Column *column = &lane->columns[i];
        double inputs[MAX_INPUTS];
        for (int j = 0; j < column->stream->inputs; j++) {
            inputs[j] = now[column->inputs[j]];
        }
        if (stream_peek(column->stream, inputs, &now[column->slot]) != 0) {
            return 1;
        }
    }
    for (Py_ssize_t i = 0; i < lane->term_count; i++) {
        now[lane->terms[i].slot] = program_value(lane->terms[i].program, now, lane->past);
    }
    for (Py_ssize_t i = 0; i < lane->bound_count; i++) {
        const Bound *bound = &lane->bounds[i];
        if (now[bound->slot] < bound->low || now[bound->slot] > bound->high) {
            return 1;
        }
    }
    for (Py_ssize_t i = 0; i < lane->program_count; i++) {
        if (program_value(lane->programs[i], now, lane->past) == 1.0) {
            return 1;
        }
    }
    return 0;
}

int lane_take(Lane *lane, const Tick *tick, double *now) {
    Tape *tape = lane->tape;
    if (!lane->watching || tick->ts < tape->opens_ms || tick->ts > tape->closes_ms ||
        duplicate_or_unclear(tape, tick)) {
        return 0;
    }
    int in_order = tick->ts >= tape->newest_ms;
    if (in_order && !(tick->ts < tape->quiet_until && tape->quiet_low <= tick->price &&
                      tick->price <= tape->quiet_high)) {
        return 0;
    }
    now[0] = tape->open;
    now[1] = tick->price > tape->high ? tick->price : tape->high;
    now[2] = tick->price < tape->low ? tick->price : tape->low;
    now[3] = in_order ? tick->price : tape->close;
    now[4] = tape->volume + tick->volume;
    if (anything_holds(lane, now)) {
        return 0;
    }
    tape->high = now[1];
    tape->low = now[2];
    tape->close = now[3];
    tape->volume = now[4];
    if (in_order) {
        tape->newest_ms = tick->ts;
    }
    if (tick->seq != 0) {
        tape->newest_number = tick->seq;
    } else {
        tape->trade_ms = tick->ts;
        tape->trade_price = tick->price;
        tape->trade_volume = tick->volume;
    }
    return 1;
}

static void forget_watch(Lane *self) {
    for (Py_ssize_t i = 0; i < self->program_count; i++) {
        Py_DECREF(self->programs[i]);
    }
    for (Py_ssize_t i = 0; i < self->column_count; i++) {
        Py_DECREF(self->columns[i].stream);
    }
    for (Py_ssize_t i = 0; i < self->term_count; i++) {
        Py_DECREF(self->terms[i].program);
    }
    PyMem_Free(self->bounds);
    PyMem_Free(self->programs);
    PyMem_Free(self->terms);
    PyMem_Free(self->columns);
    PyMem_Free(self->past);
    self->bounds = NULL;
    self->programs = NULL;
    self->columns = NULL;
    self->terms = NULL;
    self->past = NULL;
    self->bound_count = self->program_count = self->column_count = self->term_count = 0;
    self->watching = 0;
}

static int add_column(Lane *self, PyObject *item) {
    Column *column = &self->columns[self->column_count];
    Stream *stream;
    Py_buffer inputs;
    if (!PyArg_ParseTuple(item, "O!iy*", &StreamType, &stream, &column->slot, &inputs)) {
        return 0;
    }
    int fits = inputs.len == stream->inputs;
    for (int i = 0; fits && i < stream->inputs; i++) {
        column->inputs[i] = ((unsigned char *)inputs.buf)[i];
        fits = column->inputs[i] < BAR_FIELDS;
    }
    PyBuffer_Release(&inputs);
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "not the inputs of the stream");
        return 0;
    }
    column->stream = (Stream *)Py_NewRef((PyObject *)stream);
    self->column_count++;
    return 1;
}

static int add_term(Lane *self, PyObject *item) {
    Term *term = &self->terms[self->term_count];
    if (!PyArg_ParseTuple(item, "O!i", &ProgramType, &term->program, &term->slot)) {
        return 0;
    }
    Py_INCREF(term->program);
    self->term_count++;
    return 1;
}

static PyObject *lane_watch(Lane *self, PyObject *args) {
    PyObject *bounds, *programs, *columns, *terms = NULL;
    Py_buffer past;
    if (!PyArg_ParseTuple(args, "O!O!O!y*|O!", &PyTuple_Type, &bounds, &PyTuple_Type, &programs, &PyTuple_Type,
                          &columns, &past, &PyTuple_Type, &terms)) {
        return NULL;
    }
    forget_watch(self);
    self->bounds = PyMem_Calloc((size_t)PyTuple_GET_SIZE(bounds) + 1, sizeof(Bound));
    self->programs = PyMem_Calloc((size_t)PyTuple_GET_SIZE(programs) + 1, sizeof(Program *));
    self->columns = PyMem_Calloc((size_t)PyTuple_GET_SIZE(columns) + 1, sizeof(Column));
    Py_ssize_t term_count = terms == NULL ? 0 : PyTuple_GET_SIZE(terms);
    self->terms = PyMem_Calloc((size_t)term_count + 1, sizeof(Term));
    self->past = PyMem_Malloc((size_t)past.len + 1);
    int fine = self->bounds != NULL && self->programs != NULL && self->columns != NULL && self->terms != NULL && self->past != NULL;
    if (fine) {
        memcpy(self->past, past.buf, (size_t)past.len);
    } else {
        PyErr_NoMemory();
    }
    PyBuffer_Release(&past);
    for (Py_ssize_t i = 0; fine && i < PyTuple_GET_SIZE(bounds); i++) {
        Bound *bound = &self->bounds[self->bound_count++];
        fine = PyArg_ParseTuple(PyTuple_GET_ITEM(bounds, i), "idd", &bound->slot, &bound->low, &bound->high);
    }
    for (Py_ssize_t i = 0; fine && i < PyTuple_GET_SIZE(programs); i++) {
        PyObject *program = PyTuple_GET_ITEM(programs, i);
        fine = PyObject_TypeCheck(program, &ProgramType);
        if (fine) {
            self->programs[self->program_count++] = (Program *)Py_NewRef(program);
        } else {
            PyErr_SetString(PyExc_TypeError, "not a Program");
        }
    }
    for (Py_ssize_t i = 0; fine && i < PyTuple_GET_SIZE(columns); i++) {
        fine = add_column(self, PyTuple_GET_ITEM(columns, i));
    }
    for (Py_ssize_t i = 0; fine && i < term_count; i++) {
        fine = add_term(self, PyTuple_GET_ITEM(terms, i));
    }
    if (!fine) {
        forget_watch(self);
        return NULL;
    }
    self->watching = 1;
    Py_RETURN_NONE;
}

static PyObject *lane_rest(Lane *self, PyObject *Py_UNUSED(args)) {
    forget_watch(self);
    Py_RETURN_NONE;
}

static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *symbol;
    Tape *tape;
    if (!PyArg_ParseTuple(args, "UO!", &symbol, &TapeType, &tape)) {
        return NULL;
    }
    Lane *self = (Lane *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->symbol = Py_NewRef(symbol);
        self->tape = (Tape *)Py_NewRef((PyObject *)tape);
        self->partition = -1;
    }
    return (PyObject *)self;
}

static void lane_dealloc(Lane *self) {
    forget_watch(self);
    Py_XDECREF(self->symbol);
    Py_XDECREF((PyObject *)self->tape);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef lane_methods[] = {
    {"watch", (PyCFunction)lane_watch, METH_VARARGS,
     "watch(bounds, programs, columns, past, terms=()): leave a tick to Python when a bound is broken or one of\n"
     "the programs holds.\n\n"
     "bounds: (slot, low, high); columns: (stream, slot, inputs as bytes) of what they read; past: float64 vectors; terms: (program,\n"
     "slot) of what they share."},
    {"rest", (PyCFunction)lane_rest, METH_NOARGS, "Leave every tick to Python."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Lane",
    .tp_doc = "Lane(symbol, tape): the ticks of one symbol; see lane.c.",
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = lane_new,
    .tp_dealloc = (destructor)lane_dealloc,
    .tp_methods = lane_methods,
};

#define WHOLE(name) {#name, T_LONGLONG, offsetof(Tape, name), 0, NULL}
#define REAL(name) {#name, T_DOUBLE, offsetof(Tape, name), 0, NULL}

static PyMemberDef tape_members[] = {
    WHOLE(bar), WHOLE(opens_ms), WHOLE(closes_ms), WHOLE(newest_ms), WHOLE(newest_number), WHOLE(trade_ms),
    WHOLE(quiet_until), REAL(quiet_low), REAL(quiet_high),
    REAL(open), REAL(high), REAL(low), REAL(close), REAL(volume), REAL(trade_price), REAL(trade_volume),
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject TapeType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.TapeFields",
    .tp_doc = "The attributes of stockpipeline.signals.tape.Tape.",
    .tp_basicsize = sizeof(Tape),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_members = tape_members,
};
