<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-FileCopyrightText: Conflux authors
     SPDX-License-Identifier: Apache-2.0 -->
<!--
  Makes the table of IANA's elements for iana.c: one line ELEMENT(id, name,
  type, semantics, units, range_min, range_max, deprecated, reversible) each.
  Names that are not in names.h do not compile.
-->
<xsl:stylesheet version="1.0"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:e="urn:conflux:elements:1">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="/">
    <xsl:text>/* Made from xml/ipfix-elements.xml; do not edit. */&#10;</xsl:text>
    <xsl:apply-templates select="e:elements/e:element"/>
  </xsl:template>
  <xsl:template match="e:element">
    <xsl:if test="@pen != 0">
      <xsl:message terminate="yes">only elements of IANA belong here</xsl:message>
    </xsl:if>
    <xsl:value-of select="concat('ELEMENT(', @id, ', ', @name, ', ', @type)"/>
    <xsl:text>, </xsl:text>
    <xsl:value-of select="@semantics"/>
    <xsl:if test="not(@semantics)">default</xsl:if>
    <xsl:text>, </xsl:text>
    <xsl:value-of select="translate(@units, ' -', '__')"/>
    <xsl:if test="not(@units)">none</xsl:if>
    <xsl:text>, </xsl:text>
    <xsl:choose>
      <xsl:when test="@range">
        <xsl:value-of select="concat(substring-before(@range, '-'), ', ',
            substring-after(@range, '-'))"/>
      </xsl:when>
      <xsl:otherwise>0, 0</xsl:otherwise>
    </xsl:choose>
    <xsl:value-of select="concat(', ', @status = 'deprecated', ', ',
        not(@reversible = 'no'), ')&#10;')"/>
  </xsl:template>
</xsl:stylesheet>
