"""Programs that are given to a target's own Python to read its rows back. Nothing in Dativo imports them.

Each is one file that needs the standard library and the driver that the target has anyway: any Python from 3.8.
It gets a question (a JSON file), and prints for each stream one line that begins with the
byte 0x1e and a JSON object ({"stream": number, "found": …, "columns": {name: type}}), then the rows as JSON lines.
"""
