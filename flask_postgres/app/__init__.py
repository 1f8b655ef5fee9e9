"""How the Flask app is understood: its extension, its callback, its migrations."""
