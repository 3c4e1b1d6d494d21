"""The explorer: choose a bandwidth by looking, live in a browser.

    rows.py          the rows, checked once; the range of bandwidths; where they came from
    projection.py    rows laid on the page, their pixels, the picture of an answer
    pixels.py        passes over all rows: sizes and colours of clusters, pixels
    colouring.py     the clusters' colours, kept from answer to answer
    worker.py        one thread of work, in which a newer request replaces an older one
    session.py       the model of a page: request -> answer, curve, trajectory; no Bokeh
    code.py          the lines of Python and the command that give the same answer
    saving.py        labels, centres or the model, written to files
    figures.py       rows and centres, curve, sizes, rounds, in Bokeh
    controls.py      widgets
    themes.py        light and dark, the page's style sheet
    view.py          the page: events to the session, what it finds to the figures
    server.py        127.0.0.1, a free port, a token in the address

Imports faces and what lies below them; Bokeh only where a page is made. The face `explore` alone
imports it.
"""
