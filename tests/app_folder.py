"""A folder that a Functions host runs the app from, with changes that every Python process of it sees."""

import shutil

from dev.process import ROOT

# Microsoft's worker sets PYTHONPATH anew, so that here the lines are run by hand
APP = """
import os
exec(open({changes!r}).read(), {{}})
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, ({folder!r}, os.environ.get("PYTHONPATH", ""))))
exec(open({app!r}).read())
"""
PATH = "import sys\nsys.path.insert(0, {root!r})\n"


def write_app(folder, changes):
    """host.json, and a function_app.py that runs these lines of Python before the project's own. They run in each
    process of a study alone, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(PATH.format(root=str(ROOT)) + changes)
    (folder / "function_app.py").write_text(
        APP.format(changes=str(site / "sitecustomize.py"), folder=str(site), app=str(ROOT / "function_app.py"))
    )
    shutil.copy(ROOT / "host.json", folder)
    return folder
