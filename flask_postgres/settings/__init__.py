"""What should happen: every setting, where its value comes from, and what it shadows.

``schema`` declares them; ``sources`` and ``tomlfile`` read them; ``convert`` makes text a value;
``merge`` decides; ``explain`` shows the decision; ``generate`` writes the files that document them.
"""
