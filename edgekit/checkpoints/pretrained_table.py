"""Where trained weights are published: name -> address, sha256, license, preprocessing, classes and variant.

The order decides: `pretrained` means the first source that fits a variant. Sources whose hash is known stand before
those without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing


@dataclass(frozen=True)
class Source:
    """One published file.

    `sha256` is of what the address serves: whole, or its published first digits; None where nobody published it, and
    then the hash found at the first download is recorded. `resolution` None: the weights fit any resolution that the
    network takes. `member`: the file's name inside the archive at the address.
    """

    name: str
    model: str
    url: str
    sha256: str | None
    license: str
    preprocessing: Preprocessing
    classes: int = 1000
    alpha: float = 1.0
    resolution: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    member: str | None = None
    note: str = ""

    @property
    def arrival(self) -> str:
        """The name of the file at the address."""
        return self.url.rpartition("/")[2]

    @property
    def file(self) -> str:
        """The name of the file that is kept."""
        return self.member or self.arrival


ALPHAS, RESOLUTIONS = (1.0, 0.75, 0.5, 0.25), (224, 192, 160, 128)

# torchvision's files carry the first digits of their sha256 in their names, and torch's own loader checks them.
_TORCHVISION_AT = "https://download.pytorch.org/models/"
_TORCHVISION_LICENSE = "BSD-3-Clause; the terms of ImageNet may apply"
_TORCHVISION_FILES = {
    "alexnet_tv": "alexnet-owt-7be5be79",
    "vgg11": "vgg11-8a719046",
    "vgg13": "vgg13-19584684",
    "vgg16": "vgg16-397923af",
    "vgg19": "vgg19-dcbb9e9d",
    "vgg11_bn": "vgg11_bn-6002323d",
    "vgg13_bn": "vgg13_bn-abd245e5",
    "vgg16_bn": "vgg16_bn-6c64b313",
    "vgg19_bn": "vgg19_bn-c79401a0",
    "googlenet_bn": "googlenet-1378be20",
    "inception_v3": "inception_v3_google-0cc3c7bd",
    "resnet18": "resnet18-f37072fd",
    "resnet34": "resnet34-b627a593",
    "resnet50": "resnet50-0676ba61",
    "resnet101": "resnet101-63fe2227",
    "resnet152": "resnet152-394f9c45",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d",
    "resnext50_32x4d": "resnext50_32x4d-7cdf4587",
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5",
    "densenet121": "densenet121-a639ec97",
    "densenet169": "densenet169-b2777c0a",
    "densenet201": "densenet201-c1103571",
    "squeezenet1_0": "squeezenet1_0-b66bff10",
    "squeezenet1_1": "squeezenet1_1-b8a52dc0",
    "mobilenet_v2": "mobilenet_v2-b0353104",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc",
}
_MNASNET_FILES = {
    1.0: "mnasnet1.0_top1_73.512-f206786ef8",
    0.75: "mnasnet0_75-7090bc5f",
    0.5: "mnasnet0.5_top1_67.823-3ffadce67e",
}
# The bottlenecks of torchvision's networks stride in their 3x3 convolution.
_STRIDED = ("resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d", "resnext101_32x8d")
# Central crop as crop size over resize size; googlenet and inception_v3 were trained by TensorFlow, on -1..1.
_OTHER_PREPROCESSING = {
    "googlenet_bn": TENSORFLOW,
    "inception_v3": Preprocessing(crop_fraction=299 / 342),
}
_NOTES = {"efficientnet_b0": "published accuracy is with bicubic resizing; edgekit resizes bilinearly"}

# Google's archives of MobileNet v1: the float ones of 2018-02-22, the uint8 ones of 2018-08-02. The sha256 of all of
# them stand in public build recipes of embedded Linux distributions; TensorFlow's own build has that of 1.0_224_quant.
_HOSTED_AT = "https://storage.googleapis.com/download.tensorflow.org/models/"
_HOSTED_SHA256 = {
    "1.0_224": "1ccb74dbd9c5f7aea879120614e91617db9534bdfaa53dfea54b7c14162e126b",
    "1.0_192": "ad683fb270cd1b0f49c820c4acf5fcbbfa546ae354b1345a4fff5f19f99d7c44",
    "1.0_160": "1f612ebeda0e7e149897273c445b790ca8924a8a1488e6a61d36166a562fd89c",
    "1.0_128": "d16f3102c1cb087eacf94c6a5abf0477767158fb891b2710409472bca4d988a8",
    "0.75_224": "bf61b3ce7ca2d045bb35fa6ab9a68732e3531291266db4a8c7715227d7425657",
    "0.75_192": "3d91d279cd06c055500aabdff8dfbd51a63797c7bb6b3f9a39e243f7c13997e9",
    "0.75_160": "90b3f26406a89df489373358aa89d9db7bcb66d2400160f16f3687f79e4f66b2",
    "0.75_128": "54a28065f6f230d0b71cf8fbbc50bbb89b4fdfada8e7e2a622da68b971d5ab97",
    "0.5_224": "0eb9be8d18dcf9466a2a2d2157e71c83cd70dc168255d76d72bfe965318db725",
    "0.5_192": "57c81cc48349d1079377f8cdeed3f017500aeb98a12f16c6ed2086a50848ecb6",
    "0.5_160": "fb01b76ca1fb053e5f98d297e21c6c53d0d9f6a8b02ad2e88ac22b33b2adf729",
    "0.5_128": "5a0def0d844327526385b110cdcaa6428d0828ff6d07515ef25bf3976e049d88",
    "0.25_224": "eee166d4d1de004e2ee5de19a4f5045574d764ef59569dc284545f805a295074",
    "0.25_192": "4889d7afabc31011f5218f6111532947ff7d5b6b9368afe1f152c67c6f30ea73",
    "0.25_160": "8eb4540af0227e5e59849c41ca6da6f07e257cca887ec0f8cd33aeb46f1405cf",
    "0.25_128": "34c52de7562259f66399993ef5ea222cc625d2e6f6f886a01fdc6cc99a0c7ee6",
    "1.0_224_quant": "d32432d28673a936b2d6281ab0600c71cf7226dfe4cdcef3012555f691744166",
    "1.0_192_quant": "b87b20c784e756fb52e265cc31fbea5b3236c9a001205bc24ed27985875b4559",
    "1.0_160_quant": "b5c9da0d5215a1c1faab313f88ba0a900ac199c7af45f559ab65c63b0649bee1",
    "1.0_128_quant": "29aec24c721329b83ff667195431ff9151362ba1854dfc8852d03aef5ac40def",
    "0.75_224_quant": "6c40604a53edb295e6fd72ead340759db63a2e4d930593610f4d09efe17aa9b7",
    "0.75_192_quant": "8dc64937bd9f35dcf8d3baa16b8eda47e2473c3af51641bf309d1ed2b1a355af",
    "0.75_160_quant": "ed023a21c1fbb062a4777056f79910aab6137c9a83655317020faed6ad0ca738",
    "0.75_128_quant": "14cd0b9c5cde26272c68ecc50de054979663e28fb1fd0348166d408a8b45538f",
    "0.5_224_quant": "f61c28ab322a3ef441341431d33732ef79dfbf03ebc00769c12e5843573b2e9c",
    "0.5_192_quant": "b3b7aca2599c9a09f7ebeb3f624fc51bc4897b9356950b67a5f11c65666dab3d",
    "0.5_160_quant": "036ff1a53180f844ee629ae5846c2b18dfa94371c51c44016c70dc9688a34d31",
    "0.5_128_quant": "0a5b18571d3df4d85a5ac6cb5be829d141dd5855243ea04422ca7d19f730a506",
    "0.25_224_quant": "be8131a23c93a83d7d0b1875ac34aa2e06319aef377f89dc6be2e8f10a0589ca",
    "0.25_192_quant": "33f4ca5c5c7fb70f81a23ec06a884482ddcf5d26e32e4211781e110afb7a0877",
    "0.25_160_quant": "8aba0b905df472d994c1d923efa743c7dfe182df579e0440b8e78c8f714ddc98",
    "0.25_128_quant": "40230cd1a429a20cfd648f08f72b6d554ca8f4bff838341cb8210bd167962c0e",
}

# Keras' files, translated from TensorFlow's checkpoints; 1000 classes, BatchNorm not folded, no hash published.
_KERAS_AT = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
_KERAS_ALPHAS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}


def _torchvision() -> Iterator[Source]:
    for model, stem in _TORCHVISION_FILES.items():
        options = {"stride": "3x3"} if model in _STRIDED else {}
        yield _of_torchvision(model, model, stem, _OTHER_PREPROCESSING.get(model, TORCHVISION), options=options)
    for alpha, stem in _MNASNET_FILES.items():
        crop = TORCHVISION.model_copy(update={"crop_fraction": 224 / 232}) if alpha == 0.75 else TORCHVISION
        yield _of_torchvision(f"mnasnet_{alpha}", "mnasnet", stem, crop, alpha=alpha)


def _of_torchvision(
    name: str,
    model: str,
    stem: str,
    preprocessing: Preprocessing,
    alpha: float = 1.0,
    options: Mapping[str, str] | None = None,
) -> Source:
    return Source(
        name=name,
        model=model,
        url=f"{_TORCHVISION_AT}{stem}.pth",
        sha256=stem.rpartition("-")[2],
        license=_TORCHVISION_LICENSE,
        preprocessing=preprocessing,
        alpha=alpha,
        options=options or {},
        note=_NOTES.get(model, ""),
    )


def _hosted(alpha: float, resolution: int, quantized: bool) -> Source:
    key = f"{alpha}_{resolution}" + "_quant" * quantized
    date = "2018_08_02" if quantized else "2018_02_22"
    return Source(
        name=f"mobilenet_{alpha}_{resolution}" + "_uint8" * quantized,
        model="mobilenet",
        url=f"{_HOSTED_AT}mobilenet_v1_{date}/mobilenet_v1_{key}.tgz",
        sha256=_HOSTED_SHA256[key],
        license="Apache-2.0",
        preprocessing=TENSORFLOW.model_copy(update={"class_offset": 1}),
        classes=1001,
        alpha=alpha,
        resolution=resolution,
        member=f"mobilenet_v1_{key}.tflite",
        note="BatchNorm is folded in the file" + "; uint8, with the ranges of its training" * quantized,
    )


def _keras(alpha: float, resolution: int) -> Source:
    return Source(
        name=f"mobilenet_{alpha}_{resolution}_keras",
        model="mobilenet",
        url=f"{_KERAS_AT}mobilenet_{_KERAS_ALPHAS[alpha]}_{resolution}_tf.h5",
        sha256=None,
        license="Apache-2.0",
        preprocessing=TENSORFLOW,
        alpha=alpha,
        resolution=resolution,
        note="no hash is published: the one found at the first download is recorded",
    )


def _mobilenet() -> Iterator[Source]:
    grid = [(alpha, resolution) for alpha in ALPHAS for resolution in RESOLUTIONS]
    yield from (_hosted(*point, quantized=False) for point in grid)
    yield from (_hosted(*point, quantized=True) for point in grid)
    yield from (_keras(*point) for point in grid)


SOURCES: tuple[Source, ...] = (*_torchvision(), *_mobilenet())
