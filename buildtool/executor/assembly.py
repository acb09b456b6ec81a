"""Assembly: a finished root filesystem and a config become an image among the store's blobs."""

from buildtool.digest import parse_digest, sha256
from buildtool.executor.api import BuiltImage, BuiltIndex, BuiltLayer, BuiltStep
from buildtool.executor.carry import Carrier
from buildtool.executor.outputs import Chain
from buildtool.graph.model import Image, Index
from buildtool.layers.compression import compression


class Assembly:
    """Makes images of chains."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def image(self, image: Image, chain: Chain, steps: tuple[BuiltStep, ...]) -> BuiltImage:
        """Give every layer its stored form, write config and manifest."""
        from buildtool.oci.convert import assemble

        self._carrier.cache.bring(chain.layers)
        self._carrier.supply.bring_bases([ref.diff_id for ref in chain.layers])
        layers = tuple(self._layer(chain, n) for n in range(len(chain.layers)))
        manifest, config = assemble(image, layers)
        for document in (config, manifest):
            self._put(document)
        return BuiltImage(
            manifest=sha256(manifest),
            manifest_size=len(manifest),
            config=sha256(config),
            platform=image.platform,
            layers=layers,
            steps=steps,
            root=self._carrier.forms.flatten(chain) if self._carrier.options.root else None,
        )

    def index(self, index: Index, images: tuple[BuiltImage, ...]) -> BuiltIndex:
        """Write the index of finished images."""
        from buildtool.oci.convert import assemble_index

        document = assemble_index(images, index.annotations)
        self._put(document)
        return BuiltIndex(sha256(document), len(document), images)

    def _put(self, document: bytes) -> None:
        blobs = self._carrier.store.blobs
        if not blobs.has(sha256(document)):
            blobs.put(document)

    def _layer(self, chain: Chain, number: int) -> BuiltLayer:
        ref = chain.layers[number]
        base = self._carrier.supply.base(ref.diff_id)
        if base is not None:
            return BuiltLayer(parse_digest(base.digest), ref.diff_id, base.size, base.media_type)
        digest, size = self._carrier.forms.compress(chain, number + 1)
        kind = compression(self._carrier.options.compression).media_type
        return BuiltLayer(digest, ref.diff_id, size, kind, chain.titles[number])
