"""Open a QuPath project by paquo, which no other module imports, and read and save the objects of its images.

paquo runs QuPath's own classes in a Java machine, and so needs an installed QuPath. Its own proxies show no
ids and its GeoJSON holds annotations alone, so the Java objects behind them are used. The project must not
be open in QuPath meanwhile, which would save over what is written here.
"""

from __future__ import annotations

import json
import platform
import shlex
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption, UnreadableProject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUPATH_FOLDER = "PAQUO_QUPATH_DIR"
"""Environment variable of paquo: the folder of an installed QuPath."""
_LAYOUTS = {
    "Linux": ("QuPath", "lib/app", "lib/runtime/lib/server/libjvm.so"),
    "Darwin": ("QuPath-0.6.0.app", "Contents/app", "Contents/runtime/Contents/Home/lib/libjli.dylib"),
    "Windows": ("QuPath-0.6.0", "app", "runtime/bin/server/jvm.dll"),
}
"""Of each system: an example of the folder, and where in it the jars and the Java machine are."""
_METADATA_READ = (0, 6)
"""The first QuPath that reads the metadata of detections in GeoJSON; 0.5 logs a page for each of them."""


def one_line(error: BaseException) -> str:
    """Return what an error says, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


class OpenedProject:
    """A project that QuPath's classes have opened.

    Raises InvalidOption where there is no paquo, or no QuPath that it can use; UnreadableProject.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self._java, projects = _imported()
        self.error: type[Exception] = _java_error()
        """What Java raises; OSError comes beside it."""
        self.version = str(self._java.qupath_version or "")
        """Of QuPath; empty where it does not say."""
        try:
            self._project = projects.QuPathProject(path, mode=mode)
        except (self.error, OSError, ValueError) as e:
            raise UnreadableProject(f"{path}: QuPath cannot open it: {one_line(e)}") from e
        # What QuPath logs is no result. Not before: paquo, which hides it so far, gives its own output back.
        self._java.System.setOut(self._java.System.err)
        self._entries = {str(e.getID()): e for e in self._project.java_object.getImageList()}

    def hierarchy(self, entry_id: str) -> Any:
        """Read the objects of an image, and no slide. Raises UnreadableProject for what cannot be read."""
        entry = self._entries[entry_id]
        if not entry.hasImageData():
            return self._java.PathObjectHierarchy()
        data_file = self._java.File(str(entry.getEntryPath().resolve("data.qpdata")))
        from jpype import JClass

        # QuPath waits for ever for the end of a file that was cut off; a pipe that ends nowhere is an error.
        stream = JClass("java.io.SequenceInputStream")(
            JClass("java.io.FileInputStream")(data_file), JClass("java.io.PipedInputStream")()
        )
        try:
            return self._java.PathIO.readHierarchy(stream)
        except self.error as e:
            reason = "it was cut off" if "Pipe not connected" in str(e) else one_line(e)
            raise UnreadableProject(
                f"its data file cannot be read, and is left as it is ({reason}): {data_file}; put an earlier "
                "one there"
            ) from e
        finally:
            stream.close()

    def geojson(self, entry_id: str) -> str:
        """Return the objects of an image as a list of Features, in JSON."""
        return self.as_geojson(self.hierarchy(entry_id))

    def as_geojson(self, hierarchy: Any) -> str:
        """Return the objects of a hierarchy as a list of Features, in JSON."""
        return str(self._java.GsonTools.getInstance().toJson(hierarchy.getAllObjects(False)))

    def image_data(self, entry_id: str) -> Any:
        """Read an image with its objects, to be changed and saved; it opens the slide.

        Raises UnreadableProject where the data file cannot be read: QuPath alone would give an image without
        objects.
        """
        there = self.hierarchy(entry_id).getAllObjects(False).size()
        data = self._entries[entry_id].readImageData()
        read = data.getHierarchy().getAllObjects(False).size()
        if read != there:
            raise UnreadableProject(f"its data file has {there} objects, of which QuPath reads {read}")
        return data

    def read_objects(self, features: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return the objects of QuPath that these Features are, in their order."""
        if _numbers(self.version) < _METADATA_READ:
            features = [_without_metadata(f) for f in features]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "objects.geojson"
            text = json.dumps({"type": "FeatureCollection", "features": list(features)})
            path.write_text(text, encoding="utf-8")
            return list(self._java.PathIO.readObjects(self._java.File(str(path))))

    def save(self, entry_id: str, data: Any) -> None:
        """Save an image's objects."""
        self._entries[entry_id].saveImageData(data)

    def metadata(self, entry_id: str) -> dict[str, str]:
        """Return the metadata of an image."""
        entry = self._entries[entry_id]
        return {str(key): str(entry.getMetadataValue(key)) for key in entry.getMetadataKeys()}

    def set_metadata(self, entry_id: str, values: Mapping[str, str | None]) -> None:
        """Change metadata of an image, or remove it, and save the project."""
        entry = self._entries[entry_id]
        for key, value in values.items():
            if value is None:
                entry.removeMetadataValue(key)
            else:
                entry.putMetadataValue(key, value)
        self._project.java_object.syncChanges()


def _without_metadata(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a Feature without metadata if it is a detection; annotations keep theirs."""
    properties = feature["properties"]
    if properties.get("objectType") not in ("detection", "cell", "tile") or "metadata" not in properties:
        return feature
    return {**feature, "properties": {k: v for k, v in properties.items() if k != "metadata"}}


def is_newer(project: str, qupath: str) -> bool:
    """Whether a project is of a later version than the QuPath that is to write it: 0.7.0 than 0.6.0."""
    return bool(qupath) and _numbers(project) > _numbers(qupath)


def _numbers(version: str) -> tuple[int, ...]:
    """Return (0, 6) for 0.6.0-rc1: later digits change no format."""
    parts = version.split("-", maxsplit=1)[0].split(".")
    return tuple(int(p) for p in parts[:2] if p.isdecimal())


def _imported() -> tuple[Any, Any]:
    """Import paquo, which starts Java; return its modules `java` and `projects`. Raises InvalidOption."""
    try:
        import jpype  # noqa: F401
        import paquo
    except ImportError as e:
        raise InvalidOption(
            f"objects of a project are read by paquo, which needs {e.name}: "
            "pip install 'slidemitosis[qupath]', or run the script in QuPath"
        ) from e
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _settle(paquo.settings)
            from paquo import java, projects
    except InvalidOption:
        raise
    except Exception as e:
        # Whatever is wrong with QuPath, its Java or a .paquo.toml: what paquo raises is of any kind.
        raise InvalidOption(f"paquo finds no QuPath that it can use ({one_line(e)}); {_remedy()}") from e
    if java.LogManager is not None:
        java.LogManager.setWarn()  # paquo has set DEBUG
    return java, projects


def _java_error() -> type[Exception]:
    from jpype import JException

    error: type[Exception] = JException
    return error


def _settle(settings: Any) -> None:
    """Check and complete what paquo is told of QuPath, by the environment or a .paquo.toml."""
    if settings.qupath_dir:
        folder = Path(settings.qupath_dir).expanduser()
        settings.qupath_dir = str(folder)
        _check_folder(folder, own_java=not settings.jvm_path_override)
    options = settings.java_opts
    words = shlex.split(options) if isinstance(options, str) else list(options)
    # Java 24 and later warn of JPype, in four lines.
    settings.java_opts = [*words, "--enable-native-access=ALL-UNNAMED"]


def _check_folder(folder: Path, *, own_java: bool) -> None:
    _, app, jvm = _LAYOUTS.get(platform.system(), _LAYOUTS["Linux"])
    if not any((folder / app).glob("qupath*.jar")):
        raise InvalidOption(f"{folder}: no QuPath: there is no {app}/qupath*.jar in it; {_remedy()}")
    if own_java and not (folder / jvm).is_file():
        raise InvalidOption(f"{folder}: no whole QuPath: there is no {jvm} in it; {_remedy()}")


def _remedy() -> str:
    example, app, jvm = _LAYOUTS.get(platform.system(), _LAYOUTS["Linux"])
    return (
        f"set {QUPATH_FOLDER} to the folder of QuPath that holds {app}/qupath*.jar and {jvm}, "
        f"such as {example}, or run the script in QuPath"
    )
